import * as fc from "fast-check";
import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { type RuleHost } from "#harness/coordinator/engine-host.ts";
import {
  ask,
  Correspondent,
  day,
  get,
  happened,
  hour,
  later,
  refusal,
  revision,
  rowsWritten,
  set,
  toAll,
  toTopic,
} from "#harness/coordinator/state-calls.ts";
import { Hand, stateOf, submitOne } from "#harness/coordinator/task-calls.ts";
import type { RuleTest, RowTest } from "./rule-test.ts";

/** Rules of request ids that hold behind any host. */
export function requestRules(it: RuleTest): void {
  it("a repeated request returns the first result and changes nothing", async ({ host }) => {
    const first = await ask(host, "state.set", { key: "a", value: 1, ifVersion: 0, requestId: "r1" });
    await set(host, "a", 2);
    expect(await ask(host, "state.set", { key: "a", value: 1, ifVersion: 0, requestId: "r1" })).toEqual(first);
    expect(await get(host, "a")).toMatchObject({ value: 2 });
    const gone = await ask(host, "state.delete", { key: "a", requestId: "r1" });
    expect(gone.isDeleted).toBe(true);
    await set(host, "a", 3);
    expect(await ask(host, "state.delete", { key: "a", requestId: "r1" })).toEqual(gone);
    expect(await get(host, "a")).toMatchObject({ value: 3 });
  });

  it("a repeated update is answered, though its conditions no longer hold", async ({ host, c1: chat }) => {
    const lease = { self: chat.self, resource: "x", requestId: "l", ttlMs: 1_000 };
    const held = await ask(host, "leases.acquire", lease);
    const token = held.state === "granted" ? held.lease.token : 0;
    const input: InputOf<"state.update"> = {
      writes: [
        { op: "set", key: "a", value: 1, ifVersion: 0 },
        { op: "delete", key: "b" },
      ],
      guards: [{ resource: "x", token }],
      requestId: "r1",
    };
    const first = await ask(host, "state.update", input);
    const before = await revision(host);
    host.wait(5_000);
    expect(await ask(host, "state.update", input)).toEqual(first);
    expect(await revision(host)).toBe(before);
  });

  it("a drain, and a cancellation, discard or replay of tasks, is done once under its request id", async ({ host }) => {
    const hand = await Hand.join(host, "w");
    const die = async (): Promise<number> => {
      const task = await submitOne(host, { type: "dies" });
      await hand.nack(await hand.take(), { isRetryable: false });
      return task;
    };
    const replay = { filter: { type: "dies" }, requestId: "r1" };
    // Without effect it is not remembered.
    expect(await ask(host, "tasks.replay", replay)).toEqual({ tasks: [] });
    const task = await die();
    const replayed = await ask(host, "tasks.replay", replay);
    expect(replayed).toMatchObject({ tasks: [{ task }] });
    await hand.nack(await hand.take(), { isRetryable: false });
    expect(await ask(host, "tasks.replay", replay)).toEqual(replayed);
    expect(await stateOf(host, task)).toBe("dead failed");
    const discard = { task, reason: "no", requestId: "r1" };
    const discarded = await ask(host, "tasks.discard", discard);
    expect(await ask(host, "tasks.discard", discard)).toEqual(discarded);
    expect((await refusal(host, "tasks.discard", { ...discard, reason: "other" })).code).toBe("key_reused");
    await submitOne(host);
    const held = await hand.take();
    const cancel = { task: held.task, reason: "no", requestId: "r1" };
    expect(await ask(host, "tasks.cancel", cancel)).toEqual({ state: "running" });
    await hand.nack(held, {});
    expect(await stateOf(host, held.task)).toBe("cancelled");
    expect(await ask(host, "tasks.cancel", cancel)).toEqual({ state: "running" });
    const drain = { chat: "w", requestId: "r1" };
    expect(await ask(host, "chats.drain", drain)).toEqual({ status: "draining" });
    await hand.leave();
    await hand.back();
    expect(await ask(host, "chats.drain", drain)).toEqual({ status: "draining" });
    expect(await ask(host, "chats.get", { chat: "w" })).toMatchObject({ status: "idle" });
  });

  it("a repeated message is stored once, and its sender sees it", async ({ host, c1: from, c2: to }) => {
    const sent = { self: from.self, target: toAll, body: { text: "hi" }, requestId: "r1" };
    const first = await ask(host, "messages.send", sent);
    expect(first.isRepeat).toBe(false);
    await from.send(toAll, "between");
    expect(await ask(host, "messages.send", sent)).toEqual({ id: first.id, isRepeat: true });
    expect(await to.bodies()).toEqual([{ text: "hi" }, "between"]);
    await to.ack({ cursor: first.id + 1 });
    expect((await ask(host, "messages.send", sent)).isRepeat).toBe(true);
    expect(await to.bodies()).toEqual([]);
  });

  it("without an id each request is a new one", async ({ c1: from, c2: to }) => {
    await from.send(toAll, "hi");
    await from.send(toAll, "hi");
    expect(await to.bodies()).toEqual(["hi", "hi"]);
  });

  it("the same id with another request is refused and changes nothing", async ({ host }) => {
    const write = { key: "a", value: { n: 1 }, requestId: "r1" };
    await ask(host, "state.set", write);
    const before = await revision(host);
    const others: InputOf<"state.set">[] = [
      { ...write, key: "b" },
      { ...write, value: { n: 2 } },
      { ...write, value: { n: 1, m: null } },
      { ...write, ttlMs: 1_000 },
      { ...write, ifVersion: 0 },
      { ...write, guard: { resource: "x", token: 1 } },
    ];
    for (const other of others) {
      const { code, message } = await refusal(host, "state.set", other);
      expect(code).toBe("key_reused");
      expect(message).toContain("r1");
    }
    expect(await revision(host)).toBe(before);
    expect(await get(host, "a")).toMatchObject({ value: { n: 1 } });
  });

  it("any two different requests are told apart", async ({ runs, host }) => {
    let count = 0;
    const value = fc.oneof(fc.string({ maxLength: 6 }), fc.integer(), fc.array(fc.nat(3), { maxLength: 3 }));
    await fc.assert(
      fc.asyncProperty(value, value, async (one, other) => {
        const requestId = `r${(count += 1)}`;
        await set(host, "a", one, { requestId });
        const again = await host.call("state.set", { key: "a", value: other, requestId });
        expect(again.ok).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
      runs(200),
    );
  });

  it("another message under the id of a sent one is refused and not sent", async ({ c1: from, c2: to }) => {
    await from.send(toAll, "one", { requestId: "r1" });
    for (const [target, body, more] of [
      [toAll, "two", {}],
      [toTopic("t"), "one", {}],
      [toAll, "one", { priority: "high" }],
    ] as const) {
      const result = await from.trySend(target, body, { requestId: "r1", ...more });
      expect(result.ok ? "sent" : result.error.code).toBe("key_reused");
    }
    expect(await to.bodies()).toEqual(["one"]);
  });

  it("only successes are kept: a refused request is judged anew under its id", async ({ host }) => {
    const write = { key: "a", value: 1, ifVersion: 1, requestId: "r1" };
    expect((await refusal(host, "state.set", write)).code).toBe("version_mismatch");
    await set(host, "a", 0);
    const { version } = await ask(host, "state.set", write);
    expect(await get(host, "a")).toMatchObject({ value: 1, version });
    const from = await Correspondent.join(host, "c1");
    const early = await from.trySend({ to: "chat", chat: "c2" }, "hi", { requestId: "r1" });
    expect(early.ok ? "sent" : early.error.code).toBe("unknown_chat");
    const to = await Correspondent.join(host, "c2");
    await from.send({ to: "chat", chat: "c2" }, "hi", { requestId: "r1" });
    expect(await to.bodies()).toEqual(["hi"]);
  });

  it("an id is known for a day, to its last instant, swept or not", async ({ open }) => {
    for (const isSwept of [false, true]) {
      const host = await open();
      const write = { key: "a", value: 1, requestId: "r1" };
      const { version } = await ask(host, "state.set", write);
      host.wait(day - 1);
      if (isSwept) await host.ring();
      expect(await ask(host, "state.set", write)).toEqual({ version });
      expect((await refusal(host, "state.set", { ...write, value: 2 })).code).toBe("key_reused");
      host.wait(1);
      if (isSwept) await host.ring();
      expect((await ask(host, "state.set", { ...write, value: 2 })).version).toBeGreaterThan(version);
      expect(await get(host, "a")).toMatchObject({ value: 2 });
      // And it is known again, for another day.
      expect((await refusal(host, "state.set", write)).code).toBe("key_reused");
    }
  });

  it("one id of two chats or operations is two requests", async ({ host, c1: one, c2: other, c3: reader }) => {
    await one.send(toAll, "from one", { requestId: "r1" });
    await other.send(toAll, "from other", { requestId: "r1" });
    expect(await reader.bodies()).toEqual(["from one", "from other"]);
    await set(host, "a", 1, { requestId: "r1", by: "c1" });
    await set(host, "a", 2, { requestId: "r1", by: "c2" });
    await set(host, "a", 3, { requestId: "r1" });
    await ask(host, "state.update", { writes: [{ op: "set", key: "a", value: 4 }], requestId: "r1" });
    await ask(host, "state.delete", { key: "a", requestId: "r1" });
    expect((await happened(host, "a")).map(({ value }) => value)).toEqual([1, 2, 3, 4, null]);
  });

  it("a restarted chat repeats its own request", async ({ host, c1: from, c2: to }) => {
    const id = await from.send(toAll, "once", { requestId: "r1" });
    const before = from.incarnation;
    await restart(host, from);
    await later(host, 1_000, to);
    expect(from.incarnation).toBe(before + 1);
    expect(await from.send(toAll, "once", { requestId: "r1" })).toBe(id);
    expect(await to.bodies()).toEqual(["once"]);
  });
}

/** Rules of request ids that can only be seen in rows. */
export function requestRowRules(it: RowTest): void {
  it("a repeat writes no row", async ({ host, c1: chat }) => {
    const more = { requestId: "r" };
    await set(host, "a", 1, more);
    await ask(host, "state.delete", { key: "a", ...more });
    await chat.send(toAll, "once", more);
    expect(await rowsWritten(host, () => set(host, "a", 1, more))).toBe(0);
    expect(await rowsWritten(host, () => ask(host, "state.delete", { key: "a", ...more }))).toBe(0);
    expect(await rowsWritten(host, () => chat.send(toAll, "once", more))).toBe(0);
  });

  it("the sweep forgets ids whose day is over, however many, and no others", async ({ host }) => {
    for (let at = 0; at < 250; at++) await set(host, "a", at, { requestId: `old-${at}` });
    host.wait(23 * hour);
    await set(host, "a", 0, { requestId: "young" });
    const ids = async (): Promise<(string | undefined)[]> =>
      (await host.rows<{ key: string }>("SELECT key FROM idempotency")).map(({ key }) => key.split(" ").at(-1));
    await host.ring();
    expect(await ids()).toHaveLength(251);
    host.wait(2 * hour);
    await host.ring();
    expect(await ids()).toEqual(["young"]);
  });
}

/** Starts as another process after the first one is gone. */
async function restart(host: RuleHost, chat: Correspondent): Promise<void> {
  await chat.leave();
  chat.process = "boot-1/2/200";
  await chat.back();
}
