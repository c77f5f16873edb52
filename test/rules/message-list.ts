import { expect } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { maxMessageBodyChars } from "#src/contract/messages.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, rowsWritten, toAll, toChat, toTopic } from "#harness/coordinator/state-calls.ts";
import type { RowTest, RuleTest } from "./rule-test.ts";

type Listed = OutputOf<"messages.list">["messages"];

async function list(host: RuleHost): Promise<Listed> {
  return (await ask(host, "messages.list", {})).messages;
}

/** Rules of the list of messages that hold behind any host. */
export function messageListRules(it: RuleTest): void {
  it("messages of all chats are listed newest first, with their sender, target, age and start", async ({
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

  it("a page goes on before the last number, and has at most a million characters of bodies", async ({ host, c1 }) => {
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
}

export function messageListRowRules(it: RowTest): void {
  it("a list writes no row", async ({ host, c1 }) => {
    await c1.send(toAll, 1);
    expect(await rowsWritten(host, () => list(host))).toBe(0);
  });
}
