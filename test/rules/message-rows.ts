import { expect, it } from "vitest";
import type { Hint } from "../../src/coordination/tx.ts";
import { MAX_BODY_CHARS } from "../../src/contract/messages.ts";
import { type EngineHost, type OpenHost, type OpenRowHost } from "../support/engine-host.ts";
import {
  ask,
  Correspondent,
  rowsWritten,
  some,
  toAll,
  toChat,
  toTopic,
  waitForFullHour,
} from "../support/state-builders.ts";

/** Rules of messages that can only be seen in rows. */
export function messageRowRules(open: OpenRowHost): void {
  it("[MS8] the rows of messages that are over go at the full hour, however many, but the newest", async () => {
    const host = await open();
    const from = await Correspondent.join(host, "c1");
    await from.sendMany(250, { ttlMs: 1_000 });
    const rows = (): Promise<unknown[]> => host.rows("SELECT 1 FROM messages");
    host.wait(2_000);
    await host.ring();
    expect(await rows()).toHaveLength(250);
    waitForFullHour(host);
    await host.ring();
    expect(await rows()).toHaveLength(1);
  });

  it("[MS11] what is refused writes no row; a message costs one, and reading none", async () => {
    const host = await open();
    const [from, to] = (await some(host, "c1", "c2")) as [Correspondent, Correspondent];
    const large = "x".repeat(MAX_BODY_CHARS);
    expect(await rowsWritten(host, () => from.trySend(toAll, large, { requestId: "r" }))).toBe(0);
    expect(await rowsWritten(host, () => from.trySend({ to: "chat", chat: "none" }, 1, { requestId: "r" }))).toBe(0);
    expect(await rowsWritten(host, () => from.send(toChat(to), 1))).toBe(1);
    expect(await rowsWritten(host, () => to.pull())).toBe(0);
    expect(await rowsWritten(host, () => ask(host, "chats.heartbeat", { self: to.self }))).toBe(0);
  });

  it("[MS8] what is too much goes with the message that makes it so: by number, and by characters", async () => {
    const host = await open();
    const from = await Correspondent.join(host, "c1");
    const kept = async (): Promise<{ n: number; chars: number }> => {
      const query = "SELECT count(*) AS n, sum(length(body)) AS chars FROM messages";
      const [row] = await host.rows<{ n: number; chars: number }>(query);
      return row ?? { n: 0, chars: 0 };
    };
    await ask(host, "settings.set", { settings: { maxMessages: 10 } });
    for (let at = 0; at < 40; at++) await from.send(toAll, at);
    expect((await kept()).n).toBe(10);
    await ask(host, "settings.set", { settings: { maxMessages: 1_000, maxMessageChars: 100_000 } });
    for (let at = 0; at < 40; at++) await from.send(toAll, "x".repeat(9_998));
    expect(await kept()).toEqual({ n: 10, chars: 100_000 });
  });

  it("[MS5] [MS16] a schema that an older program has stored, and that cannot be used, refuses what it meets and names the topic", async () => {
    const host = await open();
    const from = await Correspondent.join(host, "c1");
    const stored = { old: { pattern: "(a)\\1" }, wrong: { dependentRequired: { a: 5 } }, loop: { $ref: "#" } };
    for (const [topic, schema] of Object.entries(stored)) {
      await host.run("INSERT INTO topics (topic, json_schema) VALUES (?, ?)", topic, JSON.stringify(schema));
      const result = await from.trySend(toTopic(topic), topic === "old" ? "aa" : { a: 1 });
      expect(result).toMatchObject({
        error: {
          code: "schema_mismatch",
          message: expect.stringMatching(`topic ${topic} .*set another one`) as string,
        },
      });
      await ask(host, "messages.set-topic-schema", { topic, schema: null });
      await from.send(toTopic(topic), "free");
    }
  });

  it("[MS14] what is not for a chat is passed over for good once fifty such messages have come, and nothing that is", async () => {
    const host = await open();
    const [from, to] = (await some(host, "c1", "c2")) as [Correspondent, Correspondent];
    const beat = async (who: Correspondent): Promise<number> =>
      (await ask(host, "chats.heartbeat", { self: who.self })).unread;
    const cursor = async (chat: string): Promise<number> =>
      (await host.rows<{ cursor: number }>("SELECT cursor FROM inboxes WHERE chat = ?", chat))[0]?.cursor ?? 0;
    await from.sendMany(49);
    expect([await beat(from), await cursor("c1")]).toEqual([0, 0]);
    await from.send(toAll, "fifty");
    expect([await beat(from), await cursor("c1")]).toEqual([0, 50]);
    expect(await rowsWritten(host, () => beat(from))).toBe(0);
    // The other has not read them.
    expect([await beat(to), await cursor("c2")]).toEqual([50, 0]);
    await to.send(toChat(from), "for c1");
    await from.sendMany(60);
    expect([await beat(from), await cursor("c1")]).toEqual([1, 50]);
    expect((await from.pull()).messages).toMatchObject([{ body: "for c1" }]);
  });
}

/** What a host of this process is told to hand on. */
export function messageHintRules(open: OpenHost<EngineHost & { readonly hints: Hint[] }>): void {
  it("[MS1] a hint tells the host of a message that was committed, and of no other", async () => {
    const host = await open();
    const [from, to] = (await some(host, "c1", "c2")) as [Correspondent, Correspondent];
    host.hints.length = 0;
    await from.send(toChat(to), 1);
    await from.send(toTopic("t"), 1);
    await from.send(toAll, 1);
    await from.trySend({ to: "chat", chat: "none" }, 1);
    expect(host.hints).toMatchObject([
      { kind: "message", chat: "c2" },
      { kind: "message", chat: null },
      { kind: "message", chat: null },
    ]);
  });
}
