import { expect } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { pass } from "#harness/coordinator/peers.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, day, given, hour, minute, refusal } from "#harness/coordinator/state-calls.ts";
import { cancel, endsOf, Hand, stateOf, statesOf, submit, submitOne, taskOf } from "#harness/coordinator/task-calls.ts";
import type { TaskTest } from "./rule-test.ts";

/** Rules of what is told of tasks, and of what becomes of those that have ended. */
export function taskViewRules(it: TaskTest): void {
  it("tasks are listed by number, page by page, by any filter", async ({ host, a }) => {
    const all = await submit(
      host,
      { type: "x", priority: 9, ref: "p" },
      { type: "y", tags: ["t", "u"], parent: "p" },
      { type: "x", tags: ["u"] },
      { type: "y", parent: "p", priority: 8 },
    );
    const of = (...places: number[]): number[] => places.map((at) => all[at] ?? 0);
    const held = await a.take();
    await a.nack(await a.take(), { isRetryable: false });
    for (const limit of [1, 2, 3, 4, 200]) {
      expect(await listed(host, {}, limit)).toEqual(all);
      expect(await listed(host, { type: "y" }, limit)).toEqual(of(1, 3));
      expect(await listed(host, { tag: "u" }, limit)).toEqual(of(1, 2));
      expect(await listed(host, { parent: all[0] ?? 0 }, limit)).toEqual(of(1, 3));
      expect(await listed(host, { parent: all[0] ?? 0, state: "queued" }, limit)).toEqual(of(1));
    }
    expect(await listed(host, { chat: "a" })).toEqual([held.task]);
    expect(await listed(host, { state: "dead" })).toEqual(of(3));
    expect(await listed(host, { state: "running" })).toEqual([held.task]);
    expect(await listed(host, { state: "running", type: "y" })).toEqual([]);
    const assigned = await a.take({ isStarted: false });
    expect(await listed(host, { state: "assigned" })).toEqual([assigned.task]);
  });

  it("what fits is found behind a thousand that do not", async ({ host }) => {
    await submit(host, ...Array.from({ length: 1_000 }, () => ({ type: "x" })));
    const task = await submitOne(host, { tags: ["t"] });
    expect(await listed(host, { tag: "t" }, 1)).toEqual([task]);
    expect(await listed(host, { tag: "none" })).toEqual([]);
  });

  it("a running attempt is listed with its start, last heartbeat and time left", async ({ host, a }) => {
    const task = await submitOne(host, { startToCloseMs: hour, heartbeatMs: minute });
    expect((await taskOf(host, task)).running).toBeNull();
    const held = await a.take({ isStarted: false });
    expect((await taskOf(host, task)).running).toBeNull();
    await a.do("tasks.heartbeat", held, {});
    host.wait(25_000);
    await a.do("tasks.heartbeat", held, {});
    host.wait(5_000);
    expect((await taskOf(host, task)).running).toEqual({
      startedAgeMs: 30_000,
      heardAgeMs: 5_000,
      remainingMs: hour - 30_000,
      silenceLeftMs: minute - 5_000,
    });
    await a.ack(held);
    expect((await taskOf(host, task)).running).toBeNull();
  });

  it("of the attempts the newest hundred are kept", async ({ host, a }) => {
    const task = await submitOne(host);
    for (let n = 0; n < 105; n++) await a.do("tasks.release", await a.take(), {});
    expect(await a.ack(await a.take(), "at last")).toBe("done");
    const ends = await endsOf(host, task);
    expect([ends.length, ends.at(-1)]).toEqual([100, "done"]);
    expect((await taskOf(host, task)).result).toBe("at last");
  });

  const mostChars = 1_100_000;

  it("a page of attempts has about a million characters, each attempt once", async ({ host, a }) => {
    const task = await submitOne(host);
    for (let n = 0; n < 20; n++) {
      const held = await a.take();
      await a.do("tasks.heartbeat", held, { checkpoint: "x".repeat(60_000) });
      await a.do("tasks.release", held, {});
    }
    const pages: number[][] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page: OutputOf<"tasks.history"> = await ask(host, "tasks.history", {
        task,
        limit: 100,
        ...(cursor ? { cursor } : {}),
      });
      expect(JSON.stringify(page).length).toBeLessThan(mostChars);
      pages.push(page.attempts.map(({ claim }) => claim));
      ({ cursor } = page);
    }
    const claims = pages.flat();
    expect(pages.map(({ length }) => length)).toEqual([16, 4]);
    expect(claims).toEqual([...new Set(claims)].toSorted((x, y) => y - x));
    const few = await ask(host, "tasks.history", { task, limit: 3 });
    expect([few.attempts.length, few.cursor]).toEqual([3, String(claims[2])]);
    const rest = await ask(host, "tasks.history", { task, cursor: String(claims.at(-1)) });
    expect(rest).toEqual({ attempts: [], cursor: null });
  });

  it("a page of tasks has about a million characters; the next ones tell the rest", async ({ host }) => {
    const a = await Hand.join(host, "a", { capacity: 100 });
    const tags = Array.from({ length: 16 }, (_, at) => `${at}`.padEnd(200, "x"));
    const all = await submit(host, ...Array.from({ length: 100 }, () => ({ type: "x", tags })));
    const progress = { data: "x".repeat(8_000) };
    for (let left = 100; left > 0; left -= 50)
      for (const held of await a.claim({ limit: 50 })) await a.do("tasks.heartbeat", held, { progress });
    const page = await ask(host, "tasks.list", { limit: 200 });
    expect(page.tasks.length).toBeLessThan(100);
    expect(JSON.stringify(page).length).toBeLessThan(mostChars);
    expect(await listed(host, {})).toEqual(all);
  });

  it("progress and figures by type", async ({ host }) => {
    const a = await Hand.join(host, "a", { capacity: 9 });
    const b = await Hand.join(host, "b");
    const five = Array.from({ length: 5 }, () => ({ type: "x", heartbeatMs: hour }));
    await submit(host, ...five, { type: "y", delayMs: day });
    host.wait(2_000);
    const [one, two, three] = await a.claim({ limit: 3 });
    if (!one || !two || !three) throw new Error("three were queued");
    await b.take();
    host.wait(3_000);
    await a.ack(one);
    host.wait(4_000);
    await a.ack(two);
    await a.nack(three, { isRetryable: false });
    expect(await ask(host, "tasks.progress", {})).toEqual({
      totalTasks: 6,
      completedTasks: 2,
      inProgressTasks: 1,
      queuedTasks: 2,
      activeChats: 1,
      isAll: true,
    });
    const x = {
      type: "x",
      queued: 1,
      running: 1,
      done: 2,
      dead: 1,
      oldestQueuedMs: 9_000,
      doneLastHour: 2,
      wait: { p50Ms: 2_000, p95Ms: 2_000 },
      run: { p50Ms: 3_000, p95Ms: 7_000 },
    };
    expect(await ask(host, "tasks.stats", { type: "x" })).toEqual({ types: [x], isAll: true });
    expect((await ask(host, "tasks.stats", {})).types).toMatchObject([
      x,
      { type: "y", queued: 0, oldestQueuedMs: null, wait: null, run: null },
    ]);
    host.wait(hour);
    expect((await ask(host, "tasks.stats", { type: "x" })).types).toMatchObject([{ done: 2, doneLastHour: 0 }]);
  });

  it("a dead task begins anew, once, with its last checkpoint and a new payload", async ({ host, a }) => {
    const task = await submitOne(host, { payload: "old", maxAttempts: 1 });
    const held = await a.take();
    await a.do("tasks.heartbeat", held, { checkpoint: 7 });
    await a.nack(held);
    const replay = { task, payload: "new" };
    expect((await ask(host, "tasks.replay", replay)).tasks).toEqual([{ task, state: "queued" }]);
    expect((await ask(host, "tasks.replay", replay)).tasks).toEqual([]);
    expect(await taskOf(host, task)).toMatchObject({ failures: 0, reason: null, detail: null, payload: "new" });
    const next = await a.take();
    expect(next).toMatchObject({ attempt: 1, checkpoint: 7, payload: "new" });
    expect((await ask(host, "tasks.replay", { task, payload: "third" })).tasks).toEqual([]);
    expect(next.claim).toBeGreaterThan(held.claim);
    await a.ack(next);
    expect(await taskOf(host, task)).toMatchObject({ state: "done", payload: "new" });
    for (const bad of [{}, { task, filter: {} }, { filter: {}, payload: 1 }]) {
      expect((await refusal(host, "tasks.replay", bad)).code).toBe("bad_input");
    }
  });

  it("fitting tasks are replayed behind their dependencies, or stay dead", async ({ host }) => {
    const [child, root, other] = await submit(
      host,
      { type: "x", ref: "child", dependsOn: ["root"] },
      { type: "x", ref: "root", tags: ["t"] },
      { type: "y", tags: ["t"] },
    );
    const a = await Hand.join(host, "a");
    for (const held of await a.claim({ limit: 2 })) await a.nack(held, { isRetryable: false });
    expect(await stateOf(host, child)).toBe("dead dependency");
    expect((await ask(host, "tasks.replay", { task: child })).tasks).toEqual([]);
    expect((await ask(host, "tasks.replay", { filter: { reason: "poison" } })).tasks).toEqual([]);
    expect((await ask(host, "tasks.replay", { filter: { type: "y", tag: "t" } })).tasks).toEqual([
      { task: other, state: "queued" },
    ]);
    expect((await ask(host, "tasks.replay", { filter: { type: "x" } })).tasks).toEqual([
      { task: root, state: "queued" },
      { task: child, state: "blocked" },
    ]);
    await a.ack(await a.take({ types: ["x"] }));
    expect(await a.take({ types: ["x"] })).toMatchObject({ task: child });
  });

  it("what is discarded stays dead; what is not dead is left alone", async ({ host, a }) => {
    const [task, other] = await submit(host, { type: "x", maxAttempts: 1 }, { type: "y" });
    await a.nack(await a.take());
    expect((await ask(host, "tasks.discard", { task: task, reason: "no use" })).state).toBe("dead");
    expect((await ask(host, "tasks.discard", { task: task, reason: "again" })).state).toBe("dead");
    expect((await ask(host, "tasks.discard", { task: other, reason: "no use" })).state).toBe("queued");
    expect(await taskOf(host, task)).toMatchObject({ reason: "discarded", detail: "no use" });
    expect((await ask(host, "tasks.replay", { task: task })).tasks).toEqual([]);
    expect((await ask(host, "tasks.replay", { filter: {} })).tasks).toEqual([]);
    expect((await refusal(host, "tasks.discard", { task: 999, reason: "x" })).code).toBe("unknown_task");
  });

  it("what has ended is kept for its time and to the full hour", async ({ host, a }) => {
    host.wait(minute);
    const tasks = await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
    const [done, dead] = await a.claim({ limit: 2 });
    if (!done || !dead) throw new Error("two were queued");
    await a.ack(done);
    await a.nack(dead, { isRetryable: false });
    await cancel(host, tasks[2]);
    const ends = Math.ceil((host.now() + 7 * day) / hour) * hour;
    await pass(host, ends - host.now() - 1);
    expect(await statesOf(host, tasks)).toEqual(["done", "dead failed", "cancelled"]);
    await pass(host, 1);
    expect(await listed(host, {})).toEqual([dead.task]);
    await pass(host, 23 * day);
    expect(await listed(host, {})).toEqual([]);
  });
}

async function listed(host: RuleHost, filter: object, limit = 200): Promise<number[]> {
  const numbers: number[] = [];
  for (let cursor: string | null = "0"; cursor !== null;) {
    const page: { tasks: { task: number }[]; cursor: string | null } = given(
      await host.call("tasks.list", { ...filter, limit, cursor }, admin),
    );
    expect(page.tasks.length).toBeLessThanOrEqual(limit);
    numbers.push(...page.tasks.map(({ task }) => task));
    ({ cursor } = page);
  }
  return numbers;
}
