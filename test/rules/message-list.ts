import { expect } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { maxMessageBodyChars } from "#src/contract/messages.ts";
import type { EngineHost } from "#harness/coordinator/engine-host.ts";
import { ask, Correspondent, rowsWritten, toAll, toChat, toTopic } from "#harness/coordinator/state-calls.ts";
import type { RowTest, RuleTest } from "./rule-test.ts";

type Listed = OutputOf<"messages.list">["messages"];

async function list(host: EngineHost): Promise<Listed> {
  return (await ask(host, "messages.list", {})).messages;
}

/** Receivers that each message waits for, newest message first. */
async function waiting(host: EngineHost): Promise<number[]> {
  return (await list(host)).map(({ waitingFor }) => waitingFor);
}

/** Rules of the list of messages that hold behind any host. */
export function messageListRules(it: RuleTest): void {
  it("[MS36] messages of all chats are listed newest first, with their sender, target, age and start", async ({
    host,
    c1,
    c2,
  }) => {
    const first = await c1.send(toChat(c2), "x".repeat(501), { ttlMs: 10_000 });
    const second = await c2.send(toTopic("build.web"), { ok: true }, { priority: "high" });
    host.wait(4_000);
    const third = await c2.send(toAll, `${"y".repeat(499)}😀`);
    expect(await list(host)).toMatchObject([
      {
        id: third,
        from: "c2",
        target: toAll,
        priority: "normal",
        ageMs: 0,
        text: `${"y".repeat(499)}�`,
        isClipped: true,
      },
      {
        id: second,
        target: toTopic("build.web"),
        priority: "high",
        ageMs: 4_000,
        text: '{"ok":true}',
        isClipped: false,
      },
      { id: first, from: "c1", target: toChat(c2), expiresInMs: 6_000, text: "x".repeat(500), isClipped: true },
    ]);
  });

  it("[MS36] a page goes on before the last number, and has at most a million characters of bodies", async ({
    host,
    c1,
  }) => {
    const ids: number[] = [];
    for (let n = 0; n < 20; n++) ids.push(await c1.send(toAll, "x".repeat(maxMessageBodyChars - 2)));
    const first = await ask(host, "messages.list", { limit: 200 });
    expect([first.messages.length, first.isMore]).toEqual([15, true]);
    const rest = await ask(host, "messages.list", { before: first.messages.at(-1)?.id, limit: 4 });
    expect([rest.messages.length, rest.isMore]).toEqual([4, true]);
    const last = await ask(host, "messages.list", { before: rest.messages.at(-1)?.id, limit: 4 });
    expect(last.isMore).toBe(false);
    const all = [...first.messages, ...rest.messages, ...last.messages];
    expect(all.map(({ id }) => id)).toEqual(ids.toReversed());
    expect(await ask(host, "messages.list", { before: 0 })).toEqual({ messages: [], isMore: false });
  });

  it("[MS37] a message waits for each receiver until that has acknowledged it, in whatever order", async ({
    host,
    c1,
    c2,
    c3,
  }) => {
    await c2.subscribe("build.*");
    await c3.subscribe("build.web");
    await c3.subscribe("build.**");
    const own = await c1.send(toChat(c2), 1);
    const topic = await c1.send(toTopic("build.web"), 2);
    const all = await c1.send(toAll, 3);
    expect(await waiting(host)).toEqual([2, 2, 1]);
    await c2.ack({ ids: [topic] });
    expect(await waiting(host)).toEqual([2, 1, 1]);
    await c3.ack({ cursor: all });
    expect(await waiting(host)).toEqual([1, 0, 1]);
    await c2.ack({ ids: [own, all] });
    expect(await waiting(host)).toEqual([0, 0, 0]);
  });

  it("[MS37] no chat is waited for that subscribed or joined later, sent it, or has left for good", async ({
    host,
    c1,
    c2,
  }) => {
    await c1.send(toTopic("build.web"), 1);
    await c1.send(toAll, 2);
    await c2.subscribe("build.web");
    await Correspondent.join(host, "late");
    expect(await waiting(host)).toEqual([1, 0]);
    await c2.subscribe("other");
    await c2.send(toTopic("build.web"), 3);
    await c2.unsubscribe("build.web");
    expect((await waiting(host))[0]).toBe(0);
  });

  it("[MS37] an expired message waits for no receiver", async ({ host, c1, c2 }) => {
    await c1.send(toChat(c2), 1, { ttlMs: 1_000 });
    await c1.send(toAll, 2, { ttlMs: 1_000 });
    expect(await waiting(host)).toEqual([1, 1]);
    host.wait(1_000);
    expect(await list(host)).toMatchObject([
      { expiresInMs: 0, waitingFor: 0 },
      { expiresInMs: 0, waitingFor: 0 },
    ]);
  });
}

export function messageListRowRules(it: RowTest): void {
  it("[MS36] [MS37] a list writes no row, and counts among 100 inboxes", async ({ host, c1 }) => {
    await c1.send(toAll, 1);
    await host.run(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
       INSERT INTO inboxes (chat, cursor, ahead) SELECT 'n' || i, 0, '[]' FROM n`,
    );
    expect(await rowsWritten(host, () => list(host))).toBe(0);
    // One of the hundred is the sender's own.
    expect(await waiting(host)).toEqual([99]);
  });
}
