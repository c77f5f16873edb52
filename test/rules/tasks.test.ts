import { expect } from "vitest";
import {
  codeOf,
  pass,
  second,
  endsOf,
  Peer,
  stateOf,
  submit,
  submitOne,
  taskOf,
  ask,
  day,
  hour,
  minute,
  refusal,
  refused,
  rowsWritten,
} from "#harness/coordinator/peers.ts";
import { taskTest } from "./rule-test.ts";

taskTest("what is submitted is there with what it was given, in the order of the numbers", async ({ host }) => {
  const payload = { text: "é", of: [1, null, { deep: true }] };
  const [first, second_] = await submit(
    host,
    { type: "build", payload, priority: 9, capabilities: ["gpu", "arm"], affinity: "c9", tags: ["t"] },
    { type: "test", delayMs: minute },
  );
  expect(second_ - first).toBe(1);
  const as = { type: "build", payload, priority: 9, capabilities: ["arm", "gpu"], affinity: "c9", tags: ["t"] };
  const usual = {
    state: "queued",
    maxAttempts: 3,
    failures: 0,
    chat: null,
    result: null,
    dependsOn: [],
    dueInMs: null,
  };
  expect(await taskOf(host, first)).toMatchObject({ task: first, ...as, ...usual });
  expect(await taskOf(host, second_)).toMatchObject({ state: "scheduled", dueInMs: minute, payload: null });
});

taskTest("a submit with anything wrong in it is refused whole", async ({ host }) => {
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

taskTest("one task is claimed by one chat, with all that it needs", async ({ host, a, b }) => {
  const task = await submitOne(host, { payload: { n: 1 }, priority: 7, startToCloseMs: hour, heartbeatMs: minute });
  const claimed = await a.take();
  const given = { task, attempt: 1, maxAttempts: 3, type: "build", priority: 7, payload: { n: 1 }, inputs: [] };
  const times = { isStarted: true, startInMs: null, remainingMs: hour, heartbeatMs: minute };
  expect(claimed).toMatchObject({ ...given, ...times, progress: null, checkpoint: null });
  expect(await b.claim()).toEqual([]);
  expect(await taskOf(host, task)).toMatchObject({ state: "running", chat: "a" });
  expect(await a.ack(claimed, { ok: [1] })).toBe("done");
  expect(await taskOf(host, task)).toMatchObject({ state: "done", chat: null, result: { ok: [1] } });
  expect(await b.claim()).toEqual([]);
});

taskTest(
  "a claim that names tasks gets only those, as far as they are queued and the chat can do them",
  async ({ host }) => {
    const a = await Peer.join(host, "a", { capabilities: ["arm"], capacity: 20 });
    const b = await Peer.join(host, "b", { capacity: 20 });
    const [first, second_, third, later] = await submit(
      host,
      { type: "x" },
      { type: "x", priority: 1 },
      { type: "x", capabilities: ["gpu"] },
      { type: "x", delayMs: minute },
    );
    const held = await b.claim({ tasks: [first] });
    expect(held).toMatchObject([{ task: first }]);
    expect(await a.claim({ tasks: [first, second_, third, later], limit: 9 })).toMatchObject([{ task: second_ }]);
    expect(await a.claim({ tasks: [first], limit: 9 })).toEqual([]);
    await b.do("tasks.release", { task: first, claim: held[0]?.claim ?? 0 }, {});
    expect(await a.claim({ tasks: [first], types: ["other"] })).toEqual([]);
    expect(await a.claim({ tasks: [first] })).toMatchObject([{ task: first }]);
  },
);

taskTest("tasks come by ability, priority, then number; own affinity first among equals", async ({ host }) => {
  const a = await Peer.join(host, "a", { capabilities: ["arm", "gpu"], capacity: 20 });
  const b = await Peer.join(host, "b", { capacity: 20 });
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

taskTest("a chat has no more than its capacity at a time", async ({ host }) => {
  const a = await Peer.join(host, "a", { capacity: 2 });
  await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
  const claims = await a.claim({ limit: 50 });
  expect(claims).toHaveLength(2);
  expect(await a.claim()).toEqual([]);
  if (claims[0]) await a.ack(claims[0]);
  expect(await a.claim({ limit: 50 })).toHaveLength(1);
  const none = await Peer.join(host, "none", { capacity: 0 });
  await submitOne(host);
  expect(await none.claim()).toEqual([]);
});

taskTest("a chat that drains ends what it has and gets nothing new", async ({ host, a }) => {
  await submit(host, { type: "x" }, { type: "x" });
  const held = await a.take({ requestId: "r" });
  await ask(host, "chats.drain", { chat: "a" });
  expect(await a.claim({ requestId: "r" })).toEqual([held]);
  const done = await a.do("tasks.ack", held, { result: 1, next: { limit: 1 } });
  expect(done).toEqual({ state: "done", next: [] });
  expect(refused(await a.tryClaim()).code).toBe("chat_draining");
});

taskTest("an acknowledgement returns the next task, also when repeated", async ({ host, a }) => {
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

taskTest("no number comes twice, also when all that were have been pruned", async ({ host, a }) => {
  const task = await submitOne(host);
  await a.ack(await a.take());
  await pass(host, 8 * 24 * hour);
  expect((await refusal(host, "tasks.get", { task })).code).toBe("unknown_task");
  expect(await submitOne(host)).toBe(task + 1);
});

taskTest("calls with an older claim, of another chat or process are refused", async ({ host, a, b }) => {
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

taskTest("a repeated release or failure under one claim is counted once", async ({ host, a }) => {
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

taskTest("an assigned task begins by its first heartbeat, or is queued at its deadline", async ({ host, a }) => {
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

taskTest("of more tasks than a workspace keeps the oldest that have ended go at the full hour", async ({ host }) => {
  await ask(host, "settings.set", { settings: { maxTasks: 10 } });
  const a = await Peer.join(host, "a", { capacity: 50 });
  const kept = await submit(host, { type: "old", ref: "old" }, { type: "x", dependsOn: ["old"] });
  await submit(host, ...Array.from({ length: 12 }, () => ({ type: "y" })));
  for (const held of await a.claim({ types: ["y"], limit: 20 })) await a.ack(held);
  const count = async (): Promise<number> => (await ask(host, "tasks.list", { limit: 200 })).tasks.length;
  expect(await count()).toBe(14);
  await pass(host, hour);
  expect(await count()).toBe(10);
  for (const task of kept) expect(await stateOf(host, task)).not.toContain("done");
  const refused = (length: number) =>
    refusal(host, "tasks.submit", { tasks: Array.from({ length }, () => ({ type: "z" })) });
  expect(await refused(11)).toMatchObject({ code: "quota_exceeded" });
  await submit(host, ...Array.from({ length: 10 }, () => ({ type: "z" })));
  for (let times = 0; times < 2; times++) expect(await refused(1)).toMatchObject({ code: "quota_exceeded" });
  await pass(host, hour);
  // What has not ended stays.
  expect(await count()).toBe(12);
  await submit(host, ...Array.from({ length: 8 }, () => ({ type: "z" })));
});

taskTest("a heartbeat without news writes a row in each third of the allowed silence", async ({ host, a }) => {
  await submitOne(host, { heartbeatMs: minute, startToCloseMs: hour });
  const held = await a.take();
  const rows = await rowsWritten(host, async () => {
    for (let n = 0; n < 60; n++) {
      host.wait(2_000);
      await a.do("tasks.heartbeat", held, {});
    }
  });
  expect(rows).toBe(6);
  await ask(host, "tasks.cancel", { task: held.task, reason: "not wanted" });
  expect(await rowsWritten(host, () => a.do("tasks.heartbeat", held, {}))).toBe(0);
});

taskTest("of a task that is pruned no row is left, in whatever table", async ({ host, a }) => {
  const after = { type: "y", dependsOn: ["r"], parent: "r" };
  const [first] = await submit(host, { type: "x", ref: "r", dedupeKey: "k" }, after);
  await a.nack(await a.take(), { delayMs: 0 });
  await a.ack(await a.take(), "result");
  await a.ack(await a.take());
  await submitOne(host, { dependsOn: [first], onDependencyDeath: "ignore" });
  await a.ack(await a.take());
  await pass(host, 40 * day);
  for (const table of ["tasks", "task_texts", "attempts", "task_dependents", "task_dedupe"]) {
    expect([table, await host.rows(`SELECT * FROM ${table}`)]).toEqual([table, []]);
  }
  expect(await host.rows("SELECT value FROM meta WHERE key = 'task_floor'")).toEqual([{ value: String(first + 2) }]);
});

taskTest("a task whose turn fails is put off for a minute, and keeps no other from its turn", async ({ host }) => {
  const [bad, good] = await submit(host, { type: "x", delayMs: minute }, { type: "x", delayMs: minute });
  await host.run("UPDATE tasks SET joinRule = 'collect', dependsOn = 'no JSON' WHERE task = ?", bad);
  host.wait(minute);
  expect(await host.sweep(100)).toEqual([expect.stringMatching(new RegExp(`^task ${bad}: `))]);
  const rows = await host.rows("SELECT state, dueAt FROM tasks ORDER BY task");
  expect(rows).toEqual([
    { state: "scheduled", dueAt: host.now() + minute },
    { state: "queued", dueAt: null },
  ]);
  expect(await host.sweep(100)).toEqual([]);
  expect((await taskOf(host, good)).state).toBe("queued");
});
