import { expect, it } from "vitest";
import type { Route } from "#src/contract/model-routes.ts";
import { assignQueued } from "#harness/coordinator/local-host.ts";
import { given } from "#harness/coordinator/peers.ts";
import { aClient } from "#harness/edge/edge-runtime.ts";
import { FakeEdge, token } from "#harness/edge/fake-edge.ts";
import { aTaskBegun, ofEvents, startWorker, WorkerRig, type WorkerAtWork } from "#harness/worker/worker-rig.ts";

const done = (result: string | null = null) => ({ kind: "done", result }) as const;
const tasksOf = ({ executor }: Pick<WorkerAtWork, "executor">): number[] =>
  executor.attempts.map(({ run }) => run.task.task);

/** Once that many attempts were begun. */
const begins = (rig: Pick<WorkerRig, "time">, made: Pick<WorkerAtWork, "executor">, attempts: number): Promise<void> =>
  rig.time.untilTrue(() => made.executor.attempts.length === attempts);

it("a worker is a chat with its types, capabilities and capacity, does what it is given, and leaves at its end", async () => {
  const rig = new WorkerRig();
  const made = rig.worker({ types: ["build", "test"], capabilities: ["gpu"], concurrency: 2, maxTasks: 1 });
  await rig.time.pass(10);
  const about = { role: "worker", isInteractive: false, capacity: 2, capabilities: ["gpu"] };
  expect(rig.call("chats.get", { chat: `w${made.pid}` })).toMatchObject(about);
  const task = rig.submit({ type: "test", capabilities: ["gpu"], payload: { file: "a" } });
  const left = rig.submit();
  await begins(rig, made, 1);
  expect(made.executor.last.run.task).toMatchObject({ task, type: "test", payload: { file: "a" } });
  made.executor.last.end(done("well"));
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { done: 1 } });
  expect(rig.call("tasks.get", { task })).toMatchObject({ state: "done", result: "well" });
  expect([rig.state(left), made.executor.attempts.length]).toEqual(["queued", 1]);
  expect(rig.call("chats.get", { chat: `w${made.pid}` })).toMatchObject({ status: "offline", reason: "left" });
});

it("a worker whose chat counted as gone registers it again; drained by another chat it ends", async () => {
  const { rig, task, made } = await aTaskBegun();
  const chat = `w${made.pid}`;
  const process = JSON.stringify([rig.processes.boot(), made.pid, rig.processes.facts(made.pid)?.start]);
  rig.call("chats.attest-death", { chat, machine: "m1", process });
  await begins(rig, made, 2);
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
  expect(tasksOf(made)).toEqual([task]);
  made.executor.last.end(done());
  await rig.time.pass(10);
  expect([rig.state(task), rig.ends(task)]).toEqual(["done", ["done"]]);
});

it("it has no more tasks at a time than it says, and gets the next one with the answer to the last", async () => {
  const rig = new WorkerRig();
  const tasks = [rig.submit(), rig.submit(), rig.submit(), rig.submit()];
  const made = rig.worker({ concurrency: 2 });
  await rig.time.pass(10);
  expect(tasksOf(made)).toEqual(tasks.slice(0, 2));
  const before = made.link.asked.filter((name) => name === "tasks.claim").length;
  made.executor.attempts[0]?.end(done());
  made.executor.attempts[1]?.end(done());
  await rig.time.pass(10);
  expect(tasksOf(made)).toEqual(tasks);
  expect(made.link.asked.filter((name) => name === "tasks.claim").length).toBe(before);
});

it("a new worktree is reported before the work in it begins, and where nobody answers it begins all the same", async () => {
  const rig = new WorkerRig();
  const made = rig.worker();
  made.place.isNew = true;
  const task = rig.submit();
  await begins(rig, made, 1);
  expect(rig.call("tasks.get", { task }).checkpoint).toEqual({ work: { commit: 0 } });
  // What the program has written is kept each minute.
  await rig.time.pass(61_000);
  expect(made.place.done).toEqual(["saved"]);
  made.executor.last.end(done());
  made.link.alter = (name, given) => {
    made.link.cut = name === "tasks.heartbeat" ? "answers" : "no";
    return given;
  };
  rig.submit();
  await begins(rig, made, 2);
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
  const checkpoint = { step: 3, work: { commit: 1 } };
  expect(other.executor.last.run.task).toMatchObject({ task, attempt: 1, checkpoint });
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

it("a checkpoint is reported when its files are kept, and not before; a flood is kept with one save, and delays nothing", async () => {
  const { rig, task, made } = await aTaskBegun();
  const { promise: kept, resolve: keep } = Promise.withResolvers<void>();
  made.place.saving = kept;
  const { run, end } = made.executor.last;
  run.onCheckpoint({ step: 1 });
  await rig.time.pass(30_000);
  for (let step = 2; step <= 1_000; step++) run.onCheckpoint({ step });
  expect(made.link.checkpoints).toEqual([{ work: { commit: 0 } }]);
  keep();
  end({ kind: "failed", reason: "half way", isRetryable: true });
  await rig.time.pass(2_000);
  expect(made.place.done).toEqual(["saved", "saved", "finished", "left open"]);
  expect(rig.call("tasks.get", { task }).checkpoint).toMatchObject({ step: 1_000 });
});

it("while no task of a type can be done it takes none of that type, and none at all when it has no other", async () => {
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

const failed = { kind: "failed", reason: "it broke", isRetryable: true } as const;

it("a task that is cancelled is stopped at once and given back", async () => {
  const { rig, task, made } = await aTaskBegun();
  await rig.time.pass(2_000);
  rig.call("tasks.cancel", { task, reason: "not needed" });
  await rig.time.pass(500);
  expect(made.executor.last.run.signal.reason).toMatchObject({ kind: "cancelled", message: "not needed" });
  expect(rig.state(task)).toBe("cancelled");
  expect(ofEvents(made, "ended")).toMatchObject([{ end: "cancelled", state: "cancelled", reason: "not needed" }]);
});

it("when the time of an attempt ends it is stopped, which counts as an attempt", async () => {
  const { rig, task, made } = await aTaskBegun({ startToCloseMs: 5_000, maxAttempts: 2, backoff: { baseMs: 0 } });
  await rig.time.pass(5_100);
  expect(made.executor.attempts[0]?.run.signal.reason).toMatchObject({ kind: "time" });
  expect(ofEvents(made, "ended")).toMatchObject([{ end: "timeout" }]);
  expect(["failed", "timeout"]).toContain(rig.ends(task)[0]);
  await rig.time.pass(90_000);
  expect(rig.state(task)).toBe("dead");
});

it("a claim that has ended is no longer worked on, and nothing of it is reported", async () => {
  const { rig, task, made } = await aTaskBegun();
  const { claim } = made.executor.last.run.task;
  // Somebody acts in its name.
  rig.call("tasks.release", { self: { chat: `w${made.pid}`, incarnation: 1 }, task, claim });
  await rig.time.pass(2_000);
  expect(made.executor.attempts[0]?.run.signal.reason).toMatchObject({ kind: "lost" });
  expect(ofEvents(made, "ended")[0]).toMatchObject({ end: "lost" });
  expect(rig.ends(task)).toEqual(["released"]);
});

it("at a budget the attempt is stopped and its task is dead, whatever has measured it", async () => {
  const rig = new WorkerRig();
  const tasks = [{ tokens: 1_000 }, { wallMs: 3_000 }, { tokens: 5 }].map((budget) => rig.submit({ budget }));
  const made = await rig.begun();
  expect(made.executor.last.run.budgetLeft).toEqual({ wallMs: null, tokens: 1_000, costMicros: null });
  made.executor.last.run.onUsage({ wallMs: 0, tokens: 1_500, costMicros: 0 });
  await begins(rig, made, 2);
  await begins(rig, made, 3);
  made.executor.last.run.onUsage({ wallMs: 0, tokens: 5, costMicros: 0 });
  made.executor.last.end({ kind: "over_budget", reason: "5 tokens used" });
  await rig.time.pass(100);
  for (const task of tasks)
    expect(rig.call("tasks.get", { task })).toMatchObject({ state: "dead", reason: "budget_exceeded" });
  const ended = { end: "budget_exceeded", state: "dead" };
  expect(ofEvents(made, "ended")).toMatchObject([ended, ended, ended]);
});

it("a result is reported until it is accepted, and counts once", async () => {
  const { rig, task, made } = await aTaskBegun();
  made.link.cut = "answers";
  made.executor.last.end(done("r"));
  await rig.time.pass(40_000);
  expect(ofEvents(made, "ended")).toEqual([]);
  made.link.cut = "no";
  await rig.time.pass(11_000);
  expect(ofEvents(made, "ended")).toMatchObject([{ end: "done", state: "done" }]);
  expect([rig.call("tasks.get", { task }).result, rig.ends(task)]).toEqual(["r", ["done"]]);
});

it("work that cannot be its result, or cannot be saved, fails the attempt", async () => {
  const problem = "the conflict of its inputs is not resolved";
  for (const [state, detail] of [
    [{ problem }, problem],
    [{ failure: new Error("no space") }, "its work could not be saved: no space"],
  ] as const) {
    const { rig, task, made } = await aTaskBegun({ maxAttempts: 1 });
    Object.assign(made.place, state);
    made.executor.last.end(done());
    await rig.time.pass(100);
    expect(rig.call("tasks.get", { task })).toMatchObject({ state: "dead", detail });
  }
  // It is no result of a task that is cancelled meanwhile either.
  const { rig, task, made } = await aTaskBegun();
  const { promise: kept, resolve: keep } = Promise.withResolvers<void>();
  Object.assign(made.place, { problem, saving: kept });
  made.executor.last.run.onCheckpoint({ step: 1 });
  made.executor.last.end(done());
  rig.call("tasks.cancel", { task, reason: "not needed" });
  await rig.time.pass(2_000);
  keep();
  await rig.time.pass(100);
  expect([rig.state(task), rig.ends(task)]).toEqual(["cancelled", ["released"]]);
});

it("a result that comes too late is thrown away, which is said", async () => {
  const { rig, task, made } = await aTaskBegun({ heartbeatMs: 10_000 });
  await rig.time.pass(100);
  made.link.cut = "before";
  made.executor.last.end(done("late"));
  await rig.time.pass(30_000);
  made.link.cut = "no";
  await rig.time.pass(11_000);
  const reason = expect.stringMatching(/has ended/) as string;
  expect(ofEvents(made, "ended")[0]).toMatchObject({ end: "thrown_away", reason });
  expect([rig.ends(task), made.place.done.at(-1)]).toEqual([["stalled"], "left"]);
});

it("what no coordinator takes as a result ends the task with that reason; an executor that throws fails the attempt", async () => {
  const rig = new WorkerRig();
  const [large, thrown] = [rig.submit(), rig.submit({ maxAttempts: 1 })];
  const made = await rig.begun();
  made.executor.last.end(done("x".repeat(300_000)));
  await begins(rig, made, 2);
  const tooLarge = expect.stringContaining("262144") as string;
  expect(rig.call("tasks.get", { task: large })).toMatchObject({ state: "dead", detail: tooLarge });
  made.executor.last.end(Promise.reject(new Error("oops")) as never);
  await rig.time.pass(100);
  const why = expect.stringContaining("oops") as string;
  expect(rig.call("tasks.get", { task: thrown })).toMatchObject({ state: "dead", detail: why });
});

it("what is reported of a task is redacted and as short as the coordinator wants it; a checkpoint that is too large leaves the one before; what had no answer is sent again", async () => {
  const { rig, task, made } = await aTaskBegun({ maxAttempts: 1 });
  const { run, end } = made.executor.last;
  // A report without an answer does not replace what is newer.
  made.link.cut = "answers";
  made.link.alter = (_name, given) => {
    run.onProgress({ percent: 7 });
    return given;
  };
  run.onProgress({ percent: 3 });
  await rig.time.pass(2_000);
  made.link.alter = (_name, given) => given;
  made.link.cut = "no";
  await rig.time.pass(2_000);
  expect(rig.call("tasks.get", { task }).progress).toEqual({ percent: 7 });
  run.onCheckpoint({ step: 1 });
  const note = `key sk-ant-api03-${"a1B2".repeat(24)} ${"n".repeat(900)}`;
  run.onProgress({ percent: 180, note, data: "d".repeat(9_000) });
  made.link.cut = "before";
  await rig.time.pass(2_000);
  made.link.cut = "no";
  run.onCheckpoint({ blob: "b".repeat(70_000) });
  await rig.time.pass(3_000);
  const found = rig.call("tasks.get", { task });
  expect(found.progress).toEqual({ percent: 100, note: expect.stringMatching(/^key \[redacted.{400,}$/) as string });
  expect(found.progress?.note).toHaveLength(500);
  const notes = ofEvents(made, "note").map(({ message }) => message);
  expect(notes.join("\n")).toMatch(/^the data of its progress is le.*\nits checkpoint has.*$/);
  end({ kind: "failed", reason: `password=hunter2secretvalue9 ${"r".repeat(900)}`, isRetryable: true });
  await rig.time.pass(100);
  const { detail } = rig.call("tasks.get", { task });
  expect(detail).not.toContain("hunter2");
  expect(ofEvents(made, "ended")[0]?.reason).toBe(detail);
  expect(detail).toHaveLength(500);
  expect(rig.call("tasks.history", { task }).attempts[0]).toMatchObject({ checkpoint: { step: 1 } });
});

it("when attempts fail one after the other it takes nothing new for a while, longer each time, says so, and begins anew with a success", async () => {
  const rig = new WorkerRig();
  for (let n = 0; n < 6; n++) rig.submit({ maxAttempts: 1 });
  const made = rig.worker();
  for (let n = 0; n < 4; n++) {
    await begins(rig, made, n + 1);
    made.executor.last.end(failed);
    await rig.time.pass(1);
  }
  const waits = ofEvents(made, "backoff");
  expect(waits.map(({ failures }) => failures)).toEqual([2, 3, 4]);
  expect(waits.every(({ forMs }) => forMs > 0 && forMs <= 60_000)).toBe(true);
  await begins(rig, made, 5);
  made.executor.last.end(done());
  await begins(rig, made, 6);
  made.executor.last.end(failed);
  await rig.time.pass(10);
  expect(ofEvents(made, "backoff")).toHaveLength(3);
});

it("one that ends with its queue and rests after failures waits for what is left, also behind a page of others", async () => {
  const rig = new WorkerRig();
  for (let n = 0; n < 2; n++) rig.submit({ maxAttempts: 1 });
  for (let n = 0; n < 2; n++)
    rig.call("tasks.submit", { tasks: Array.from({ length: 500 }, () => ({ type: "other" })) });
  const last = rig.submit();
  const made = rig.worker({ isOnce: true });
  for (let n = 1; n <= 2; n++) {
    await begins(rig, made, n);
    made.executor.last.end(failed);
  }
  await begins(rig, made, 3);
  made.executor.last.end(done());
  expect(await rig.time.until(made.ended)).toMatchObject({ value: { done: 1, failed: 2 } });
  expect(rig.state(last)).toBe("done");
});

it("asked to end it takes nothing new, finishes what it has, and leaves", async () => {
  const rig = new WorkerRig();
  const [first, second] = [rig.submit(), rig.submit()];
  const made = await rig.begun();
  made.worker.drain("asked");
  await rig.time.pass(30_000);
  expect(rig.call("chats.get", { chat: `w${made.pid}` }).status).toBe("draining");
  expect(made.executor.last.run.signal.aborted).toBe(false);
  made.executor.last.end(done());
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { done: 1 } });
  expect([rig.state(first), rig.state(second)]).toEqual(["done", "queued"]);
});

it("what does not end in time is stopped and given back with its checkpoint; asked again, or with no time at all, at once", async () => {
  for (const way of ["late", "again", "no time"] as const) {
    const rig = new WorkerRig();
    const task = rig.submit();
    const made = await rig.begun({ drainMs: way === "no time" ? 0 : 20_000 });
    made.executor.last.run.onCheckpoint({ step: 9 });
    made.worker.drain("asked");
    if (way === "again") made.worker.stopNow("asked again");
    const before = rig.time.now;
    expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { released: 1 } });
    expect(rig.time.now - before).toBe(way === "late" ? 20_000 : 0);
    const left = [rig.state(task), rig.ends(task), made.place.done.at(-1)];
    expect([way, ...left]).toEqual([way, "queued", ["released"], "left open"]);
    expect(rig.call("tasks.history", { task }).attempts[0]).toMatchObject({ checkpoint: { step: 9 } });
  }
});

it("a task that comes while a worker ends is given back; a worker whose token is not enough ends", async () => {
  const rig = new WorkerRig();
  const made = rig.worker();
  await rig.time.pass(10);
  made.link.alter = (name, given) => {
    if (name === "tasks.claim") made.worker.stopNow("asked");
    return given;
  };
  const task = rig.submit();
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { released: 1 } });
  expect(rig.state(task)).toBe("queued");
  const refused = await rig.begun();
  refused.link.cut = "forbidden";
  refused.executor.last.end(done());
  const error = { code: "chat_lost", message: "not in its scope" };
  expect(await rig.time.until(refused.ended)).toEqual({ ok: false, error });
});

it("a worker without answers ends nevertheless, and says what was not reported", async () => {
  const { rig, made } = await aTaskBegun();
  made.link.cut = "before";
  made.worker.stopNow("asked");
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { unreported: 1 } });
});

const tier = { tier: "small", model: "haiku", effort: null, band: "usual" } as const;
const route: Route = { ...tier, reason: "chosen", isCounted: true };

it("the route of an attempt reaches the coordinator with its end, and the next reads the counts", async () => {
  const rig = new WorkerRig();
  const [first, second] = [rig.submit(), rig.submit()];
  const made = await rig.begun();
  const { run, end } = made.executor.last;
  expect(await run.findRouteCounts()).toEqual([]);
  run.onRoute(route);
  run.onUsage({ wallMs: 0, tokens: 100, costMicros: 5_000 });
  end({ kind: "done", result: null });
  await rig.time.untilTrue(() => made.executor.attempts.length > 1);
  expect(rig.state(first)).toBe("done");
  const counts = await made.executor.last.run.findRouteCounts();
  expect(counts).toEqual([{ ...tier, tried: 1, succeeded: 1, meanCostMicros: 5_000 }]);
  made.executor.last.run.onRoute({ ...route, model: "sonnet" });
  made.executor.last.end({ kind: "failed", reason: "broken", isRetryable: false });
  await rig.time.untilTrue(() => rig.state(second) === "dead");
  expect(rig.call("tasks.routes", { type: "build" }).routes?.tiers).toMatchObject([
    { model: "haiku", succeeded: 1 },
    { model: "sonnet", tried: 1, succeeded: 0 },
  ]);
});

function onEdge() {
  const edge = new FakeEdge();
  const { machine, client } = aClient(edge);
  const worker = startWorker({ machine, name: "w", link: client, process: "process of w" });
  const submit = async (overrides: object = {}): Promise<number> => {
    const submitted = await edge.host.call("tasks.submit", { tasks: [{ type: "build", ...overrides }] });
    return given(submitted).tasks[0]?.task ?? 0;
  };
  return { edge, worker, submit };
}

const endsOf = async (edge: FakeEdge, task: number): Promise<string[]> =>
  given(await edge.host.call("tasks.history", { task })).attempts.map(({ end }) => end);

it("on the edge a task that is pushed is taken at once; one whose hint was lost at the next request", async () => {
  const { edge, worker, submit } = onEdge();
  await edge.time.pass(1_000);
  await submit();
  // What the consumer of the queue does with a token, and what follows for the connections.
  assignQueued(edge.host);
  edge.tell();
  await edge.time.pass(50);
  expect(worker.executor.attempts).toHaveLength(1);
  worker.executor.last.end(done());
  await edge.time.pass(1_000);
  await submit();
  await edge.time.pass(1_000);
  expect(worker.executor.attempts).toHaveLength(1);
  await edge.time.pass(15_000);
  expect(worker.executor.attempts).toHaveLength(2);
});

it("a short loss of the connection is survived: the attempt continues, and its result is reported after the reconnect", async () => {
  const { edge, worker, submit } = onEdge();
  const task = await submit();
  await begins(edge, worker, 1);
  await edge.time.pass(2_000);
  edge.faults.isUnreachable = true;
  await edge.deploy();
  await edge.time.pass(20_000);
  worker.executor.last.end(done("kept"));
  await edge.time.pass(5_000);
  edge.faults.isUnreachable = false;
  await edge.time.untilTrue(() => ofEvents(worker, "ended").length > 0);
  expect(ofEvents(worker, "ended")).toMatchObject([{ end: "done", state: "done" }]);
  expect(given(await edge.host.call("tasks.get", { task })).result).toBe("kept");
  expect(await endsOf(edge, task)).toEqual(["done"]);
});

it("the work of a worker that was cut off too long is stopped before another gets it", async () => {
  const { edge, worker, submit } = onEdge();
  const task = await submit({ heartbeatMs: 20_000 });
  await begins(edge, worker, 1);
  edge.faults.isUnreachable = true;
  for (const connection of edge.connections) connection.freeze();
  const { signal } = worker.executor.last.run;
  await edge.time.untilTrue(() => signal.aborted);
  expect(await endsOf(edge, task)).toEqual([]);
  await edge.time.pass(60_000);
  expect(await endsOf(edge, task)).not.toContain("done");
  edge.faults.isUnreachable = false;
  await begins(edge, worker, 2);
  worker.executor.last.end(done());
  await edge.time.pass(1_000);
  expect(given(await edge.host.call("tasks.get", { task })).state).toBe("done");
});

it("a worker whose chat is taken over, or whose token is revoked, stops everything and says why it ends", async () => {
  const { edge, worker, submit } = onEdge();
  await submit();
  await begins(edge, worker, 1);
  edge.revoke(token);
  expect(await edge.time.until(worker.ended)).toMatchObject({ ok: false, error: { code: "chat_lost" } });
  expect(worker.executor.last.run.signal.reason).toMatchObject({ kind: "lost" });
});
