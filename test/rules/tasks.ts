import { expect } from "vitest";
import { codeOf, pass, second, successorOf } from "#harness/coordinator/peers.ts";
import { ask, given, hour, minute, refused, refusal } from "#harness/coordinator/state-calls.ts";
import { endsOf, Hand, stateOf, submit, submitOne, taskOf } from "#harness/coordinator/task-calls.ts";
import type { TaskTest } from "./rule-test.ts";

/** Rules of tasks that hold behind any host. */
export function taskRules(it: TaskTest): void {
  it("what is submitted is there with what it was given, in the order of the numbers", async ({ host }) => {
    const payload = { text: "é", of: [1, null, { deep: true }] };
    const [first, second_] = await submit(
      host,
      { type: "build", payload, priority: 9, capabilities: ["gpu", "arm"], affinity: "c9", tags: ["t"] },
      { type: "test", delayMs: minute },
    );
    expect(second_ - first).toBe(1);
    expect(await taskOf(host, first)).toEqual({
      task: first,
      ref: null,
      type: "build",
      state: "queued",
      reason: null,
      detail: null,
      priority: 9,
      parent: null,
      tags: ["t"],
      schedule: null,
      chat: null,
      failures: 0,
      maxAttempts: 3,
      isCancelAsked: false,
      progress: null,
      ageMs: 0,
      dueInMs: null,
      payload,
      result: null,
      checkpoint: null,
      capabilities: ["arm", "gpu"],
      affinity: "c9",
      dependsOn: [],
      stalls: 0,
      lostChats: 0,
      joinRule: null,
      budget: null,
      used: { wallMs: 0, tokens: 0, costMicros: 0 },
      running: null,
    });
    expect(await taskOf(host, second_)).toMatchObject({ state: "scheduled", dueInMs: minute, payload: null });
  });

  it("a submit with anything wrong in it is refused whole", async ({ host }) => {
    for (const bad of [
      { type: "two words" },
      { type: "a", priority: 10 },
      { type: "a", payload: "x".repeat(65_536) },
      { type: "a", startToCloseMs: 8 * 24 * hour },
      { type: "a", maxAttempts: 21 },
      { type: "a", dependsOn: ["nowhere"] },
      { type: "a", ref: "twice" },
    ]) {
      const tasks = [{ type: "good", ref: "twice" }, bad];
      expect((await refusal(host, "tasks.submit", { tasks })).code).toBe("bad_input");
    }
    expect((await ask(host, "tasks.list", {})).tasks).toEqual([]);
  });

  it("the same request again submits nothing more, and another one under its id is refused", async ({ host }) => {
    const request = { tasks: [{ type: "a" }, { type: "b" }], requestId: "r1" };
    const first = await ask(host, "tasks.submit", request);
    expect(await ask(host, "tasks.submit", request)).toEqual(first);
    expect((await refusal(host, "tasks.submit", { ...request, tasks: [{ type: "a" }] })).code).toBe("key_reused");
    expect((await ask(host, "tasks.list", {})).tasks).toHaveLength(2);
  });

  it("one task is claimed by one chat, with all that it needs", async ({ host, a, b }) => {
    const task = await submitOne(host, { payload: { n: 1 }, priority: 7, startToCloseMs: hour, heartbeatMs: minute });
    const claimed = await a.take();
    expect(claimed).toEqual({
      task,
      claim: claimed.claim,
      attempt: 1,
      maxAttempts: 3,
      type: "build",
      priority: 7,
      payload: { n: 1 },
      isStarted: true,
      progress: null,
      checkpoint: null,
      inputs: [],
      startInMs: null,
      remainingMs: hour,
      heartbeatMs: minute,
      budget: { wallMs: null, tokens: null, costMicros: null },
    });
    expect(await b.claim()).toEqual([]);
    expect(await taskOf(host, task)).toMatchObject({ state: "running", chat: "a" });
    expect(await a.ack(claimed, { ok: [1] })).toBe("done");
    expect(await taskOf(host, task)).toMatchObject({ state: "done", chat: null, result: { ok: [1] } });
    expect(await b.claim()).toEqual([]);
  });

  it("a repeated claim returns the same tasks while they are held", async ({ host, a }) => {
    await submit(host, { type: "a" }, { type: "b" }, { type: "c" });
    const first = await a.claim({ requestId: "r", limit: 2 });
    expect(first.map(({ type }) => type)).toEqual(["a", "b"]);
    expect(await a.claim({ requestId: "r", limit: 2 })).toEqual(first);
    expect((await a.claim({ requestId: "s", limit: 2 })).map(({ type }) => type)).toEqual(["c"]);
    if (first[0]) await a.ack(first[0]);
    expect(await a.claim({ requestId: "r", limit: 2 })).toEqual(first.slice(1));
  });

  it("tasks come by ability, priority, then number; own affinity first among equals", async ({ host }) => {
    const a = await Hand.join(host, "a", { capabilities: ["arm", "gpu"], capacity: 20 });
    const b = await Hand.join(host, "b", { capacity: 20 });
    const wishes = [
      { type: "x", priority: 1 },
      { type: "x", priority: 9, capabilities: ["gpu"] },
      { type: "y", priority: 5 },
      { type: "x", priority: 5, affinity: "a" },
      { type: "y", priority: 5, capabilities: ["gpu", "arm"] },
      { type: "y", priority: 9, capabilities: ["gpu", "tpu"] },
      { type: "x2", priority: 8 },
    ];
    const numbers = await submit(host, ...wishes);
    const order = (of: readonly { task: number }[]): number[] => of.map(({ task }) => numbers.indexOf(task));
    expect(order(await b.claim({ limit: 1, types: ["x"] }))).toEqual([3]);
    expect(order(await a.claim({ limit: 2, types: ["x", "y"] }))).toEqual([1, 2]);
    expect(order(await a.claim({ limit: 50 }))).toEqual([6, 4, 0]);
    expect(order(await b.claim({ limit: 50 }))).toEqual([]);
    const [mine, other] = await submit(host, { type: "x" }, { type: "z", affinity: "a" });
    expect((await a.claim({ limit: 2 })).map(({ task }) => task)).toEqual([other, mine]);
  });

  it("its own are first among equals however many were queued before them", async ({ host }) => {
    const a = await Hand.join(host, "a", { capacity: 20 });
    const others = [{ type: "x" }, { type: "x" }, { type: "x" }];
    const [mine, lower] = [
      { type: "x", affinity: "a" },
      { type: "x", affinity: "a", priority: 4 },
    ];
    const tasks = await submit(host, ...others, mine, { type: "x", affinity: "b" }, lower, mine);
    const taken = [...(await a.claim()), ...(await a.claim({ limit: 2 })), ...(await a.claim({ limit: 50 }))];
    expect(taken.map(({ task }) => tasks.indexOf(task))).toEqual([3, 6, 0, 1, 2, 4, 5]);
  });

  it("a chat has no more than its capacity at a time", async ({ host }) => {
    const a = await Hand.join(host, "a", { capacity: 2 });
    await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
    const claims = await a.claim({ limit: 50 });
    expect(claims).toHaveLength(2);
    expect(await a.claim()).toEqual([]);
    if (claims[0]) await a.ack(claims[0]);
    expect(await a.claim({ limit: 50 })).toHaveLength(1);
    const none = await Hand.join(host, "none", { capacity: 0 });
    await submitOne(host);
    expect(await none.claim()).toEqual([]);
  });

  it("a chat that drains ends what it has and gets nothing new", async ({ host, a }) => {
    await submit(host, { type: "x" }, { type: "x" });
    const held = await a.take({ requestId: "r" });
    await ask(host, "chats.drain", { chat: "a" });
    expect(await a.claim({ requestId: "r" })).toEqual([held]);
    const done = await a.do("tasks.ack", held, { result: 1, next: { limit: 1 } });
    expect(done).toEqual({ state: "done", next: [] });
    expect(refused(await a.tryClaim()).code).toBe("chat_draining");
  });

  it("an acknowledgement returns the next task, also when repeated", async ({ host, a }) => {
    const [one, two] = await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
    const held = await a.take();
    const first = await a.do("tasks.ack", held, { result: "r", next: {} });
    expect(first).toMatchObject({ state: "done", next: [{ task: two }] });
    expect(await a.do("tasks.ack", held, { result: "other", next: {} })).toEqual(first);
    expect(await taskOf(host, one)).toMatchObject({ result: "r" });
    expect(refused(await a.try("tasks.nack", held, { reason: "late" })).code).toBe("stale_claim");
    for (const claimed of first.next) await a.ack(claimed);
    // Nobody may wait for this answer any more: it takes nothing.
    expect(await a.do("tasks.ack", held, { result: "r", next: {} })).toEqual({ state: "done", next: [] });
    expect(await a.claim()).toHaveLength(1);
  });

  it("no number comes twice, also when all that were have been pruned", async ({ host, a }) => {
    const task = await submitOne(host);
    await a.ack(await a.take());
    await pass(host, 8 * 24 * hour);
    expect((await refusal(host, "tasks.get", { task })).code).toBe("unknown_task");
    expect(await submitOne(host)).toBe(task + 1);
  });

  it("nor when the newest was pruned before older ones", async ({ host, a }) => {
    const [, , newest] = await submit(host, { type: "x" }, { type: "y", maxAttempts: 1 }, { type: "z" });
    await a.ack(await a.take({ types: ["z"] }));
    await pass(host, 2 * hour);
    await a.back();
    await a.ack(await a.take({ types: ["x"] }));
    await a.nack(await a.take({ types: ["y"] }));
    await pass(host, 60 * 24 * hour);
    expect(await submitOne(host)).toBe(newest + 1);
  });

  it("after a restore numbers and claims are above all that were", async ({ host, a }) => {
    const task = await submitOne(host);
    const held = await a.take();
    await a.do("tasks.release", held, {});
    const { epoch } = await ask(host, "epoch.raise", { reason: "a restore" });
    expect((await a.take()).claim).toBeGreaterThan(epoch * 2 ** 28);
    expect(await submitOne(host)).toBeGreaterThan(Math.max(task, epoch * 2 ** 28));
  });

  it("who is gone, or not registered, claims nothing", async ({ host, a }) => {
    await submitOne(host);
    const stranger = new Hand(host, "nobody");
    stranger.incarnation = 1;
    expect(codeOf(await stranger.tryClaim())).toBe("unknown_chat");
    await a.leave();
    expect(codeOf(await a.tryClaim())).toBe("chat_offline");
    await a.back();
    expect(given(await a.tryClaim()).claims).toHaveLength(1);
  });
}

/** Rules of what a chat does with a task that it has, or had. */
export function taskHoldRules(it: TaskTest): void {
  it("calls with an older claim, of another chat or process are refused", async ({ host, a, b }) => {
    const task = await submitOne(host);
    const old = await a.take();
    expect(codeOf(await b.try("tasks.ack", old, { result: 1 }))).toBe("stale_claim");
    expect((await a.do("tasks.release", old, {})).state).toBe("queued");
    const present = await b.take();
    expect(present.claim).toBeGreaterThan(old.claim);
    expect(codeOf(await a.try("tasks.ack", old, { result: 1 }))).toBe("stale_claim");
    expect(codeOf(await a.try("tasks.heartbeat", old, {}))).toBe("stale_claim");
    expect(codeOf(await b.try("tasks.ack", { task, claim: present.claim + 1 }, {}))).toBe("stale_claim");
    expect(codeOf(await b.try("tasks.ack", { task: task + 1, claim: 1 }, {}))).toBe("unknown_task");
    expect(await b.ack(present, "b")).toBe("done");
    expect(await taskOf(host, task)).toMatchObject({ state: "done", result: "b" });
  });

  it("late reports are counted with their attempt, and by its chat only", async ({ host, a, b }) => {
    const task = await submitOne(host);
    const held = await a.take();
    await a.do("tasks.release", held, {});
    const late = async (): Promise<number[]> =>
      (await ask(host, "tasks.history", { task })).attempts.map(({ lateCalls }) => lateCalls);
    await a.do("tasks.release", held, {});
    expect(await late()).toEqual([0]);
    expect(codeOf(await a.try("tasks.ack", held, {}))).toBe("stale_claim");
    expect(codeOf(await a.try("tasks.heartbeat", held, {}))).toBe("stale_claim");
    expect(codeOf(await b.try("tasks.ack", held, {}))).toBe("stale_claim");
    expect(codeOf(await a.try("tasks.ack", { task, claim: held.claim + 1 }, {}))).toBe("stale_claim");
    expect(await late()).toEqual([2]);
  });

  it("the claims of a process that was replaced are over", async ({ host, a }) => {
    const task = await submitOne(host);
    const held = await a.take();
    await a.leave();
    const next = new Hand(host, "a", successorOf(a).registration);
    await next.back();
    expect(codeOf(await a.try("tasks.ack", held, {}))).toBe("chat_replaced");
    expect(codeOf(await next.try("tasks.ack", held, {}))).toBe("stale_claim");
    expect((await next.take()).task).toBe(task);
  });

  it("a repeated release or failure under one claim is counted once", async ({ host, a }) => {
    const task = await submitOne(host);
    const first = await a.take();
    for (let times = 0; times < 3; times++) expect(await a.nack(first, { delayMs: 5 * second })).toBe("scheduled");
    await pass(host, 5 * second);
    const next = await a.take();
    expect(next.attempt).toBe(2);
    expect(await a.nack(first)).toBe("scheduled");
    for (let times = 0; times < 3; times++) expect((await a.do("tasks.release", next, {})).state).toBe("queued");
    expect((await a.take()).attempt).toBe(2);
    expect(await endsOf(host, task)).toEqual(["failed", "released"]);
    expect(await stateOf(host, task)).toBe("running");
  });

  it("an assigned task begins by its first heartbeat, or is queued at its deadline", async ({ host, a }) => {
    const task = await submitOne(host, { startToCloseMs: hour });
    const assigned = await a.take({ isStarted: false });
    expect(assigned).toMatchObject({ isStarted: false, startInMs: 30 * second, remainingMs: hour });
    expect(await stateOf(host, task)).toBe("assigned");
    await pass(host, 30 * second - 1);
    expect(await stateOf(host, task)).toBe("assigned");
    await pass(host, 1);
    expect(await taskOf(host, task)).toMatchObject({ state: "queued", failures: 0, lostChats: 0, stalls: 0 });
    expect(codeOf(await a.try("tasks.heartbeat", assigned, {}))).toBe("stale_claim");
    const again = await a.take({ isStarted: false });
    host.wait(10 * second);
    expect(await a.do("tasks.heartbeat", again, {})).toMatchObject({ remainingMs: hour });
    host.wait(10 * second);
    expect(await a.do("tasks.heartbeat", again, {})).toMatchObject({ remainingMs: hour - 10 * second });
    expect(await endsOf(host, task)).toEqual(["not_started"]);
  });

  it("a heartbeat stores progress and checkpoint", async ({ host, a }) => {
    const task = await submitOne(host, { startToCloseMs: 10 * minute });
    const held = await a.take();
    host.wait(minute / 2);
    const progress = { percent: 40, note: "half", data: { files: ["a"] } };
    const beat = await a.do("tasks.heartbeat", held, { progress, checkpoint: { at: 7 } });
    expect(beat).toEqual({ isCancelled: false, isOverBudget: false, reason: null, remainingMs: 9.5 * minute });
    expect(await taskOf(host, task)).toMatchObject({ progress, checkpoint: { at: 7 } });
    await a.do("tasks.heartbeat", held, {});
    expect(await taskOf(host, task)).toMatchObject({ progress, checkpoint: { at: 7 } });
  });
}
