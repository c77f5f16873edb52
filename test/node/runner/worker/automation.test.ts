import { expect, it } from "vitest";
import { aTaskBegun, ofEvents, WorkerRig } from "#harness/worker/worker-rig.ts";

const done = (result: string | null = null) => ({ kind: "done", result }) as const;

it("a worker is a chat with its types, capabilities and capacity, does what it is given, and leaves at its end", async () => {
  const rig = new WorkerRig();
  const made = rig.worker({ types: ["build", "test"], capabilities: ["gpu"], concurrency: 2, maxTasks: 1 });
  await rig.time.pass(10);
  expect(rig.call("chats.get", { chat: `w${made.pid}` })).toMatchObject({
    role: "worker",
    isInteractive: false,
    capacity: 2,
    capabilities: ["gpu"],
  });
  const task = rig.submit({ type: "test", capabilities: ["gpu"], payload: { file: "a" } });
  await rig.time.untilTrue(() => made.executor.attempts.length === 1);
  expect(made.executor.last.run.task).toMatchObject({ task, type: "test", payload: { file: "a" } });
  made.executor.last.end(done("well"));
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { done: 1 } });
  expect(rig.call("tasks.get", { task })).toMatchObject({ state: "done", result: "well" });
  expect(rig.call("chats.get", { chat: `w${made.pid}` })).toMatchObject({ status: "offline", reason: "left" });
});

it("other types of tasks, and those that need what it has not, are left to others", async () => {
  const rig = new WorkerRig();
  const [other, gpu] = [rig.submit({ type: "deploy" }), rig.submit({ capabilities: ["gpu"] })];
  const made = rig.worker({ isOnce: true });
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: {} });
  expect([rig.state(other), rig.state(gpu)]).toEqual(["queued", "queued"]);
});

it("a worker whose chat counted as gone registers it again; drained by another chat it ends", async () => {
  const { rig, task, made } = await aTaskBegun();
  const chat = `w${made.pid}`;
  const start = rig.processes.facts(made.pid)?.start ?? "";
  const process = JSON.stringify([rig.processes.boot(), made.pid, start]);
  rig.call("chats.attest-death", { chat, machine: "m1", process });
  await rig.time.untilTrue(() => made.executor.attempts.length === 2);
  expect(rig.ends(task)).toEqual(["chat_offline"]);
  made.executor.last.end(done());
  await rig.time.pass(1_000);
  expect(rig.state(task)).toBe("done");
  rig.call("chats.drain", { chat, reason: "maintenance" });
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { done: 1 } });
  expect(ofEvents(made, "problem")).toEqual([]);
});

it("a task is begun at once when it comes, and the answer to a claim that was lost is asked for again", async () => {
  const rig = new WorkerRig();
  const made = rig.worker();
  await rig.time.pass(2_000);
  made.link.cut = "answers";
  const task = rig.submit();
  await rig.time.pass(300);
  expect([rig.state(task), made.executor.attempts]).toEqual(["running", []]);
  made.link.cut = "no";
  await rig.time.pass(1_000);
  expect(made.executor.attempts.map(({ run }) => run.task.task)).toEqual([task]);
  made.executor.last.end(done());
  await rig.time.pass(10);
  expect([rig.state(task), rig.ends(task)]).toEqual(["done", ["done"]]);
});

it("it has no more tasks at a time than it says, and gets the next one with the answer to the last", async () => {
  const rig = new WorkerRig();
  const tasks = [rig.submit(), rig.submit(), rig.submit(), rig.submit()];
  const made = rig.worker({ concurrency: 2 });
  await rig.time.pass(10);
  expect(made.executor.attempts.map(({ run }) => run.task.task)).toEqual(tasks.slice(0, 2));
  const before = made.link.asked.filter((name) => name === "tasks.claim").length;
  made.executor.attempts[0]?.end(done());
  made.executor.attempts[1]?.end(done());
  await rig.time.pass(10);
  expect(made.executor.attempts.map(({ run }) => run.task.task)).toEqual(tasks);
  expect(made.link.asked.filter((name) => name === "tasks.claim").length).toBe(before);
});

it("after so many tasks it ends, with --once when there is nothing more to take", async () => {
  const rig = new WorkerRig();
  const tasks = [rig.submit(), rig.submit(), rig.submit()];
  const two = rig.worker({ maxTasks: 2 });
  for (const at of [0, 1]) {
    await rig.time.untilTrue(() => two.executor.attempts.length === at + 1);
    two.executor.last.end(done());
  }
  expect(await rig.time.until(two.ended)).toMatchObject({ value: { done: 2 } });
  expect(tasks.map((task) => rig.state(task))).toEqual(["done", "done", "queued"]);
  const rest = await rig.begun({ isOnce: true });
  rest.executor.last.end(done());
  expect(await rig.time.until(rest.ended)).toMatchObject({ value: { done: 1 } });
});

it("its chat says how it is: busy with so many, idle, and how its machine is", async () => {
  const rig = new WorkerRig();
  const made = rig.worker();
  await rig.time.pass(20_000);
  const chat = (): unknown => rig.call("chats.get", { chat: `w${made.pid}` });
  expect(chat()).toMatchObject({ status: "idle", taskCount: 0, health: { cpu: 0.5, memory: 0.25 } });
  rig.submit();
  await rig.time.pass(3_000);
  expect(chat()).toMatchObject({ status: "busy", taskCount: 1 });
  made.executor.last.end(done());
  await rig.time.pass(3_000);
  expect(chat()).toMatchObject({ status: "idle", taskCount: 0 });
});

it("an attempt reports progress, checkpoint and usage, and lives as long as it works", async () => {
  const { rig, task, made } = await aTaskBegun({ heartbeatMs: 3_000 });
  const { run } = made.executor.last;
  run.onProgress({ percent: 40, note: "half of it" });
  run.onUsage({ wallMs: 0, tokens: 1_200, costMicros: 50 });
  run.onCheckpoint({ step: 3 });
  await rig.time.pass(2_000);
  expect(rig.call("tasks.get", { task })).toMatchObject({
    progress: { percent: 40, note: "half of it" },
    used: { tokens: 1_200, costMicros: 50 },
  });
  await rig.time.pass(60_000);
  expect([rig.state(task), rig.ends(task)]).toEqual(["running", []]);
  expect(rig.call("tasks.get", { task }).used.wallMs).toBeGreaterThan(55_000);
});

it("a new worktree is reported before the work in it begins, and where nobody answers it begins all the same", async () => {
  const rig = new WorkerRig();
  const made = rig.worker();
  made.place.isNew = true;
  const task = rig.submit();
  await rig.time.untilTrue(() => made.executor.attempts.length === 1);
  expect(rig.call("tasks.get", { task }).checkpoint).toEqual({ work: { commit: 0 } });
  made.executor.last.end(done());
  made.link.alter = (name, given) => {
    made.link.cut = name === "tasks.heartbeat" ? "answers" : "no";
    return given;
  };
  rig.submit();
  await rig.time.untilTrue(() => made.executor.attempts.length === 2);
});

it("workers of one machine do not keep each other awake: a heartbeat that only asks writes nothing", async () => {
  const rig = new WorkerRig();
  const tasks = [rig.submit(), rig.submit(), rig.submit()];
  const made = [await rig.begun(), await rig.begun(), await rig.begun()];
  await rig.time.pass(60_000);
  const beats = made.flatMap(({ link }) => link.asked.filter((name) => name === "tasks.heartbeat"));
  expect(beats.length).toBeLessThan(60);
  expect(rig.call("tasks.get", { task: tasks[0] ?? 0 }).used.wallMs).toBeGreaterThan(40_000);
});

it("when a worker is gone the next one begins with the last checkpoint, within a second and the grace", async () => {
  const { rig, task, made: one } = await aTaskBegun();
  one.executor.last.run.onCheckpoint({ step: 3 });
  await rig.time.pass(2_000);
  const other = rig.worker();
  await rig.time.pass(2_000);
  expect(other.executor.attempts).toEqual([]);
  rig.kill(one);
  one.machine.fallAsleep();
  await rig.time.pass(1_100);
  expect(rig.ends(task)).toEqual(["chat_offline"]);
  expect(other.executor.last.run.task).toMatchObject({
    task,
    attempt: 1,
    checkpoint: { step: 3, work: { commit: 1 } },
  });
});

it("a claim without confirmation is trusted for less time than the coordinator keeps it", async () => {
  const { rig, task, made } = await aTaskBegun({ heartbeatMs: 10_000 });
  await rig.time.pass(5_000);
  made.link.cut = "before";
  const { signal } = made.executor.last.run;
  await rig.time.untilTrue(() => signal.aborted);
  expect(signal.reason).toMatchObject({ kind: "lost", message: expect.stringMatching(/no heartbeat/) as string });
  expect(rig.ends(task)).toEqual([]);
  made.link.cut = "no";
  await rig.time.pass(60_000);
  expect(rig.ends(task)[0]).toBe("stalled");
  expect(ofEvents(made, "ended")[0]).toMatchObject({ end: "lost", state: null });
  // Another attempt may come to this machine.
  expect(made.place.done.at(-1)).toBe("left open");
});

it("nor when the last heartbeats had no news and were not written down", async () => {
  const { rig, task, made } = await aTaskBegun({ heartbeatMs: 30_000 });
  await rig.time.pass(23_000);
  made.link.cut = "before";
  const { signal } = made.executor.last.run;
  await rig.time.untilTrue(() => signal.aborted);
  made.link.cut = "no";
  await rig.time.pass(1_000);
  expect(signal.reason).toMatchObject({ kind: "lost" });
  expect(rig.ends(task)).toEqual([]);
});

it("after too long a sleep of the machine the work is stopped, though the monotonic clock stood still", async () => {
  const { rig, task, made } = await aTaskBegun({ heartbeatMs: 30_000 });
  await rig.time.pass(1_000);
  made.link.cut = "before";
  await made.machine.sleep(600_000);
  await rig.time.pass(1_000);
  expect(made.executor.last.run.signal.reason).toMatchObject({ kind: "lost" });
  made.link.cut = "no";
  await rig.time.pass(2_000);
  expect(rig.ends(task)).toEqual(["stalled"]);
});

it("a checkpoint is reported when its files are kept, and not before", async () => {
  const { rig, made } = await aTaskBegun();
  const { promise: kept, resolve: keep } = Promise.withResolvers<void>();
  made.place.saving = kept;
  made.executor.last.run.onCheckpoint({ step: 1 });
  await rig.time.pass(30_000);
  expect(made.link.checkpoints).toEqual([{ work: { commit: 0 } }]);
  keep();
  await rig.time.pass(2_000);
  expect(made.link.checkpoints).toEqual([{ work: { commit: 0 } }, { step: 1, work: { commit: 1 } }]);
});

it("a flood of checkpoints is kept with one save of the files, and delays nothing", async () => {
  const { rig, task, made } = await aTaskBegun();
  const { promise: kept, resolve: keep } = Promise.withResolvers<void>();
  made.place.saving = kept;
  for (let step = 1; step <= 1_000; step++) made.executor.last.run.onCheckpoint({ step });
  keep();
  made.executor.last.end({ kind: "failed", reason: "half way", isRetryable: true });
  await rig.time.pass(2_000);
  expect(made.place.done).toEqual(["saved", "saved", "finished", "left open"]);
  expect(rig.call("tasks.get", { task }).checkpoint).toMatchObject({ step: 1_000 });
});

it("a task of a type that was not asked for is given back", async () => {
  const { rig, made } = await aTaskBegun();
  const other = rig.submit({ type: "other" });
  made.link.alter = (name, given) => (name === "tasks.ack" ? { ...given, next: { limit: 1 } } : given);
  made.executor.last.end(done());
  await rig.time.pass(100);
  expect(ofEvents(made, "problem")).toMatchObject([{ message: expect.stringMatching(/type other/) as string }]);
  expect([rig.ends(other), made.executor.attempts.length]).toEqual([["released"], 1]);
});

it("while no task of a type can be done it takes none of that type, and none at all when it has no other @night", async () => {
  const rig = new WorkerRig();
  const [limited, other, later] = [rig.submit({ type: "fix" }), rig.submit(), rig.submit({ type: "fix" })];
  const made = rig.worker({ types: ["fix", "build"] });
  await rig.time.pass(10);
  const waiting = { kind: "waiting", reason: "a limit", delayMs: 3_600_000, isOfType: true } as const;
  made.executor.last.end(waiting);
  await rig.time.pass(10);
  expect([rig.state(limited), rig.ends(limited), rig.state(later)]).toEqual(["scheduled", ["released"], "queued"]);
  expect(ofEvents(made, "waiting")).toMatchObject([{ taskType: "fix", reason: "a limit", forMs: 3_600_000 }]);
  expect(made.executor.last.run.task.task).toBe(other);
  made.executor.last.end({ ...waiting, delayMs: 600_000 });
  await rig.time.pass(1_000);
  expect(rig.call("chats.get", { chat: `w${made.pid}` })).toMatchObject({ status: "stuck", progress: "a limit" });
  await rig.time.pass(600_000);
  expect([made.executor.attempts.length, made.executor.last.run.task.task]).toEqual([3, other]);
  made.executor.last.end(done());
  await rig.time.pass(3_000_000);
  expect(made.executor.attempts.slice(3).map(({ run }) => run.task.task)).toEqual([limited]);
  expect(rig.state(later)).toBe("queued");
});

it("with --once a worker of which no type can be done does not wait for it", async () => {
  const rig = new WorkerRig();
  rig.submit();
  const made = rig.worker({ isOnce: true });
  await rig.time.pass(10);
  made.executor.last.end({ kind: "waiting", reason: "a limit", delayMs: 3_600_000, isOfType: true });
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { released: 1 } });
});
