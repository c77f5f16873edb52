import { expect, it } from "vitest";
import { aTaskBegun, ofEvents, WorkerRig } from "#harness/worker/worker-rig.ts";

const done = (result: string | null = null) => ({ kind: "done", result }) as const;
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
  const [byTokens, byTime, byExecutor] = [
    rig.submit({ budget: { tokens: 1_000 } }),
    rig.submit({ budget: { wallMs: 3_000 } }),
    rig.submit({ budget: { tokens: 5 } }),
  ];
  const made = await rig.begun();
  expect(made.executor.last.run.budgetLeft).toEqual({ wallMs: null, tokens: 1_000, costMicros: null });
  made.executor.last.run.onUsage({ wallMs: 0, tokens: 1_500, costMicros: 0 });
  await rig.time.untilTrue(() => made.executor.attempts.length === 2);
  await rig.time.untilTrue(() => made.executor.attempts.length === 3);
  made.executor.last.run.onUsage({ wallMs: 0, tokens: 5, costMicros: 0 });
  made.executor.last.end({ kind: "over_budget", reason: "5 tokens used" });
  await rig.time.pass(100);
  for (const task of [byTokens, byTime, byExecutor]) {
    expect(rig.call("tasks.get", { task })).toMatchObject({ state: "dead", reason: "budget_exceeded" });
  }
  const ended = { end: "budget_exceeded", state: "dead" };
  expect(ofEvents(made, "ended")).toMatchObject([ended, ended, ended]);
});

it("an executor that has stopped itself for a limit that the coordinator does not see ends the task for good all the same", async () => {
  const { rig, task, made } = await aTaskBegun();
  made.executor.last.end({ kind: "over_budget", reason: "no money" });
  await rig.time.pass(100);
  expect(rig.call("tasks.get", { task })).toMatchObject({ state: "dead", detail: "no money" });
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

it("a result that comes too late is thrown away, which is said", async () => {
  const { rig, task, made } = await aTaskBegun({ heartbeatMs: 10_000 });
  await rig.time.pass(100);
  made.link.cut = "before";
  made.executor.last.end(done("late"));
  await rig.time.pass(30_000);
  made.link.cut = "no";
  await rig.time.pass(11_000);
  expect(ofEvents(made, "ended")[0]).toMatchObject({
    end: "thrown_away",
    reason: expect.stringMatching(/has ended/) as string,
  });
  expect(rig.ends(task)).toEqual(["stalled"]);
});

it("a failure is reported with its reason, whether it may be repeated, and when", async () => {
  const rig = new WorkerRig();
  const [once, later] = [rig.submit(), rig.submit()];
  const made = await rig.begun();
  made.executor.last.end({ kind: "failed", reason: "no such file", isRetryable: false });
  await rig.time.untilTrue(() => made.executor.attempts.length === 2);
  made.executor.last.end({ kind: "failed", reason: "busy", isRetryable: true, delayMs: 600_000 });
  await rig.time.pass(100);
  expect(rig.call("tasks.get", { task: once })).toMatchObject({ state: "dead", detail: "no such file" });
  await rig.time.pass(300_000);
  expect(rig.state(later)).toBe("scheduled");
});

it("what no coordinator takes as a result ends the task with that reason; an executor that throws fails the attempt", async () => {
  const rig = new WorkerRig();
  const [large, thrown] = [rig.submit(), rig.submit({ maxAttempts: 1 })];
  const made = await rig.begun();
  made.executor.last.end(done("x".repeat(300_000)));
  await rig.time.untilTrue(() => made.executor.attempts.length === 2);
  const tooLarge = expect.stringContaining("262144") as string;
  expect(rig.call("tasks.get", { task: large })).toMatchObject({ state: "dead", detail: tooLarge });
  made.executor.last.end(Promise.reject(new Error("oops")) as never);
  await rig.time.pass(100);
  const why = expect.stringContaining("oops") as string;
  expect(rig.call("tasks.get", { task: thrown })).toMatchObject({ state: "dead", detail: why });
});

it("what is reported of a task is redacted and as short as the coordinator wants it; a checkpoint that is too large leaves the one before", async () => {
  const { rig, task, made } = await aTaskBegun({ maxAttempts: 1 });
  const { run, end } = made.executor.last;
  run.onCheckpoint({ step: 1 });
  const note = `key sk-ant-api03-${"a1B2".repeat(24)} ${"n".repeat(900)}`;
  run.onProgress({ percent: 180, note, data: "d".repeat(9_000) });
  await rig.time.pass(2_000);
  run.onCheckpoint({ blob: "b".repeat(70_000) });
  await rig.time.pass(3_000);
  const found = rig.call("tasks.get", { task });
  expect(found.progress?.percent).toBe(100);
  expect(found.progress?.note).toMatch(/^key \[redacted/);
  expect(found.progress?.note).toHaveLength(500);
  expect(found.progress).not.toHaveProperty("data");
  expect(ofEvents(made, "note").map(({ message }) => message.slice(0, 30))).toEqual([
    "the data of its progress is le",
    expect.stringMatching(/^its checkpoint has/),
  ]);
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
    await rig.time.untilTrue(() => made.executor.attempts.length === n + 1);
    made.executor.last.end(failed);
    await rig.time.pass(1);
  }
  const waits = ofEvents(made, "backoff");
  expect(waits.map(({ failures }) => failures)).toEqual([2, 3, 4]);
  expect(waits.every(({ forMs }) => forMs > 0 && forMs <= 60_000)).toBe(true);
  await rig.time.untilTrue(() => made.executor.attempts.length === 5);
  made.executor.last.end(done());
  await rig.time.untilTrue(() => made.executor.attempts.length === 6);
  made.executor.last.end(failed);
  await rig.time.pass(10);
  expect(ofEvents(made, "backoff")).toHaveLength(3);
});

it("with --once a worker ends in a pause when no task of its types is queued", async () => {
  const rig = new WorkerRig();
  for (let n = 0; n < 3; n++) rig.submit({ maxAttempts: 1 });
  const made = rig.worker({ isOnce: true });
  for (let n = 0; n < 3; n++) {
    await rig.time.untilTrue(() => made.executor.attempts.length === n + 1);
    made.executor.last.end(failed);
  }
  await rig.time.untilTrue(() => ofEvents(made, "backoff").length === 2);
  const pausedAt = rig.time.now;
  expect(await rig.time.until(made.ended)).toMatchObject({ value: { failed: 3 } });
  expect(rig.time.now - pausedAt).toBeLessThan(ofEvents(made, "backoff")[1]?.forMs ?? 0);
});

it("a task of several attempts counts once, by the end of the last", async () => {
  const rig = new WorkerRig();
  for (let n = 0; n < 2; n++) rig.submit();
  const made = rig.worker({ maxTasks: 4 });
  for (const [n, end] of [failed, failed, done(), done()].entries()) {
    await rig.time.untilTrue(() => made.executor.attempts.length === n + 1);
    made.executor.last.end(end);
  }
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { done: 2 } });
});

it("a worker with --once that is refused a task fails", async () => {
  const rig = new WorkerRig();
  rig.call("settings.set", { settings: { budgets: { day: { wallMs: 1_000 }, chat: {}, task: {} } } });
  rig.submit();
  const made = rig.worker({ isOnce: true });
  await rig.time.untilTrue(() => made.executor.attempts.length > 0);
  await rig.time.pass(2_000);
  const later = rig.submit();
  const refused = await rig.time.until(rig.worker({ isOnce: true }).ended);
  expect(refused).toMatchObject({ ok: false, error: { code: "budget_exceeded" } });
  expect(rig.state(later)).toBe("queued");
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

it("a worker without answers ends nevertheless, and says what was not reported", async () => {
  const { rig, made } = await aTaskBegun();
  made.link.cut = "before";
  made.worker.stopNow("asked");
  expect(await rig.time.until(made.ended)).toEqual({ ok: true, value: { unreported: 1 } });
});
