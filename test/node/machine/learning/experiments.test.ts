import * as sessions from "#src/machine/sessions/sessions.ts";
import * as notices from "#src/store/notices.ts";
import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import type { MachineTrial, Replayed } from "#src/contract/learning.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";
import { advanceAll, betterValues, endAll, start, viewTrial, save } from "#src/machine/learning/machine-trials.ts";
import { forget } from "#src/machine/view/keeping/forget.ts";
import { recordSettings, sessionConfig } from "#src/machine/sessions/session-settings.ts";
import { createPrivateFolder } from "#src/platform/private-files.ts";
import type { Sql } from "#src/shared/sql.ts";
import { readConfig } from "#src/platform/config-file.ts";
import { aSession as aPastSession, pastChats, endByHand, reload } from "#harness/experiments/histories.ts";
import { replayedBetter, startTrial } from "#harness/experiments/histories.ts";
import { aChat, aLiveClaude, anotherClaude, aProject, Claude } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { join } from "node:path";
import { weekOf } from "#src/learning/experiments/weekly-report.ts";
import { pastSessions, weeklyFacts } from "#src/machine/learning/past-sessions.ts";
import { claimReview } from "#src/machine/learning/review-schedule.ts";
import { dismiss } from "#src/machine/recovery/marks.ts";
import { column } from "#harness/store/store-test.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

const key = "checkpoint.everyToolCalls";
const dayMs = 86_400_000;

/** A machine that tries another value. */
function aTrial(runtime = tempRuntime()): { runtime: TempRuntime; experiment: MachineTrial } {
  pastChats(runtime);
  return { runtime, experiment: startTrial(runtime, key, 8) };
}

let count = 0;

function aChatOf(runtime: TempRuntime): Claude {
  return aLiveClaude(runtime, "Write the parser", { session: nextId(), pid: 10_000 + count });
}

const nextId = (): string => `${String((count += 1)).padStart(8, "0")}-04b4-4fe0-bbd5-6aa531354563`;

/** A session of thirty calls, as its hooks store it; without their cost. @returns its id */
function aSession(runtime: TempRuntime, toolErrors: (sql: Sql, id: string) => number = () => 0): string {
  const id = nextId();
  runtime.wait(1_000);
  runtime.store.write((sql) => {
    const now = runtime.now();
    sessions.recordSighting(sql, now, { id, client: "claude-code", origin: "startup", owner: null, isAlive: true });
    recordSettings(sql, now, id, runtime.config, { model: null });
    sessions.update(sql, id, { toolCalls: 30, toolErrors: toolErrors(sql, id) });
    reportEnd(sql, runtime, id, "other");
  });
  return id;
}

function valueFor(runtime: TempRuntime, session: string): number {
  return runtime.store.read((sql) => sessionConfig(sql, readBack(runtime), session).checkpoint.everyToolCalls, -1);
}

function readBack(runtime: TempRuntime): typeof defaults {
  const config = readConfig(runtime.paths.config);
  if (!config.ok) throw new Error(config.error);
  return config.value;
}

function runCanary(runtime: TempRuntime, experiment: MachineTrial, errorsIfTreated = 0): MachineTrial {
  const toolErrors = (sql: Sql, id: string): number =>
    sessionConfig(sql, defaults, id).checkpoint.everyToolCalls === experiment.to ? errorsIfTreated : 0;
  for (let session = 1; session < 1_000; session++) {
    aSession(runtime, toolErrors);
    if (session % 10 === 0) advanceAll(runtime);
    const now = reload(runtime, experiment);
    if (now.state !== "canary") return now;
  }
  throw new Error("the canary never ended");
}

function writeConfig(runtime: TempRuntime, text: string): void {
  createPrivateFolder(runtime.paths.home);
  writeFileSync(runtime.paths.config, text);
}

it("a forgotten session leaves no id in an experiment, and still counts", () => {
  const { runtime, experiment } = aTrial();
  const counts = () => viewTrial(runtime, reload(runtime, experiment)).sessions;
  const chats = Array.from({ length: 20 }, () => aSession(runtime));
  const before = counts();
  for (const session of chats) runtime.store.write((sql) => forget(sql, { session }));
  const units = runtime.store.read((sql) => column(sql, "SELECT unit FROM exposures"), []);
  expect(units.filter((unit) => chats.includes(String(unit)))).toEqual([]);
  expect([units.length > 0, counts()]).toEqual([true, before]);
});

/** A trial by what the replay of recorded chats says. */
function startBy(runtime: TempRuntime, replayed: Partial<Replayed>, other = key, to = 8) {
  const trial = { key: other, to, reason: "", replayed: { ...replayedBetter, ...replayed }, isByPerson: true };
  return start(runtime, trial, "command line");
}

function cannotEnd(text: string): object {
  return { ok: false, error: { code: "cannot_end", message: expect.stringContaining(text) as string } };
}

it("one experiment of a group at a time", () => {
  const { runtime, experiment: first } = aTrial();
  const second = startBy(runtime, {}, "checkpoint.everyMs", 250_000);
  expect(second).toMatchObject({ ok: false, error: { code: "busy", message: expect.stringContaining(first.id) } });
  expect(startBy(runtime, {}, "risk.thresholds.memory", 0.7).ok).toBe(true);
});

it("a value that changes no recorded chat is refused, and one that these cannot decide, with what that takes", () => {
  const runtime = tempRuntime();
  const idle = startBy(runtime, { verdict: "equivalent", changed: 0 });
  expect(idle).toMatchObject({
    ok: false,
    error: { code: "cannot_act", message: expect.stringContaining("60 recorded") },
  });
  const early = { verdict: "undecided", n: 10, changed: 4, needed: 310 } as const;
  expect(startBy(runtime, early)).toMatchObject(
    cannotEnd("about 310 recorded chats, and there are 10: no chat began here"),
  );
  pastChats(runtime);
  expect(startBy(runtime, early)).toMatchObject(cannotEnd("at your pace 3 weeks more"));
  runtime.config.retention.maxAgeMs = 10 * 86_400_000;
  const gone =
    /about 450 recorded chats, more than the 400 that are kept here at your pace \(`retention\.maxAgeMs`\)\./;
  const many = { error: { message: expect.stringMatching(gone) as string } };
  expect(startBy(runtime, { ...early, needed: 450 })).toMatchObject(many);
  const never = "recorded chats, more than the 500 that are compared at most.";
  for (const figures of [
    { n: 10, needed: 501 },
    { n: 500, needed: 480 },
  ])
    expect(startBy(runtime, { ...early, ...figures })).toMatchObject(cannotEnd(`about 501 ${never}`));
});

it.each(["equivalent", "worse"] as const)("a value that replay finds %s is decided, and no chat gets it", (verdict) => {
  const runtime = tempRuntime();
  pastChats(runtime);
  expect(startBy(runtime, { verdict })).toMatchObject({ ok: true, value: { state: "decided", verdict } });
  expect(valueFor(runtime, aSession(runtime))).toBe(10);
  expect(readBack(runtime).checkpoint.everyToolCalls).toBe(10);
});

it("where too few chats begin for a watch of harm, replay alone decides, and says so", () => {
  const runtime = tempRuntime();
  const started = startBy(runtime, {});
  expect(started).toMatchObject({ ok: true, value: { state: "deployed", verdict: "better" } });
  expect(started.ok && started.value.steps.at(-1)?.note).toMatch(
    /^better in 60 recorded chats: -1\.00 .*; a watch for harm takes 400 new chats in 28 days, and 0 began here, so replay alone decides; .* is 8 in config\.json$/,
  );
  expect(readBack(runtime).checkpoint.everyToolCalls).toBe(8);
});

it("only sessions that begin later are assigned; a treated one has the new value, others keep theirs", () => {
  const runtime = tempRuntime();
  const before = aChatOf(runtime);
  const { experiment: trial } = aTrial(runtime);
  before.prompt("And the next part");
  const chats = Array.from({ length: 60 }, () => aChatOf(runtime));
  expect(valueFor(runtime, before.session)).toBe(10);
  const treated = chats.filter(({ session }) => valueFor(runtime, session) === 8);
  const counts = { with: treated.length, without: expect.any(Number) as number };
  expect(viewTrial(runtime, trial).sessions).toEqual(counts);
  expect(treated.length).toBeGreaterThan(0);
  expect(treated.length).toBeLessThan(30);
  endByHand(runtime, trial.id);
  expect(chats.every(({ session }) => valueFor(runtime, session) === 10)).toBe(true);
});

it("a value that replay finds better, and that does no harm to 200 chats, is written as by shim config", () => {
  const runtime = tempRuntime();
  writeConfig(runtime, '{\n  // mine\n  "offerMaxAgeMs": 86400000\n}\n');
  const { experiment } = aTrial(runtime);
  expect(runCanary(runtime, experiment)).toMatchObject({ state: "deployed", verdict: "better" });
  expect(readBack(runtime).checkpoint.everyToolCalls).toBe(8);
  expect(readFileSync(runtime.paths.config, "utf8")).toContain("// mine");
  expect(endByHand(runtime, experiment.id)).toBeNull();
});

it("no outcome counts before that of an earlier session is known", () => {
  const { runtime, experiment } = aTrial();
  for (let n = 0; n < 5; n++) aChatOf(runtime);
  for (let n = 0; n < 100; n++) aSession(runtime);
  advanceAll(runtime);
  expect(reload(runtime, experiment).read).toBe(0);
});

it("an arm that does harm is stopped, reported, audited, and no session has its value any more", () => {
  const { runtime, experiment } = aTrial();
  const stopped = runCanary(runtime, experiment, 25);
  expect(stopped).toMatchObject({ state: "stopped", violated: "toolErrors" });
  expect(readBack(runtime).checkpoint.everyToolCalls).toBe(10);
  const texts = runtime.store.read((sql) => notices.list(sql), []).map(({ text }) => text);
  expect(texts.some((text) => text.includes(experiment.id) && text.includes("toolErrors"))).toBe(true);
  const entry = { kind: "experiment.moved", subject: experiment.id, actor: "kaizen", detail: { result: "stopped" } };
  expect(listNewest(runtime, 1)).toMatchObject([entry]);
});

it("a step whose file cannot be written is not made; it is made once the file is valid", () => {
  const { runtime, experiment } = aTrial();
  writeConfig(runtime, "{ broken");
  for (let session = 0; session < 500; session++) aSession(runtime);
  expect(advanceAll(runtime)).toEqual([]);
  expect(runtime.logged.join()).toContain("an experiment was not moved");
  writeConfig(runtime, "{}");
  expect(advanceAll(runtime)).toMatchObject([{ state: "deployed" }]);
  expect(readBack(runtime).checkpoint.everyToolCalls).toBe(8);
  expect(reload(runtime, experiment).state).toBe("deployed");
});

it("a trial that did no harm, of a build whose replay came later, does not say that its chats were too few", () => {
  const { runtime, experiment } = aTrial();
  runtime.store.write((sql) => save(sql, { ...experiment, verdict: "undecided" }));
  const { state, steps } = runCanary(runtime, experiment);
  expect([state, steps.at(-1)?.note]).toEqual(["decided", expect.stringMatching(/^no benefit was measured: \d+ sess/)]);
});

it("a value that a person has set during the trial stays", () => {
  const { runtime, experiment } = aTrial();
  writeConfig(runtime, JSON.stringify({ checkpoint: { everyToolCalls: 5 } }));
  expect(runCanary(runtime, experiment).steps.at(-1)?.note).toContain("is 5 in config.json and stays");
  expect(readBack(runtime).checkpoint.everyToolCalls).toBe(5);
});

it("stop all takes every value back at once, and no review starts another; a person may", () => {
  const { runtime, experiment: trial } = aTrial();
  Object.assign(runtime.config, { kaizen: "apply" });
  let treated = aSession(runtime);
  while (valueFor(runtime, treated) !== 8) treated = aSession(runtime);
  expect(endAll(runtime, "command line")).toMatchObject({ value: [{ id: trial.id }] });
  expect(reload(runtime, trial).state).toBe("stopped");
  expect(valueFor(runtime, treated)).toBe(10);
  expect(readBack(runtime).kaizen).toBe("report");
  expect(startBy(runtime, {}).ok).toBe(true);
});

/** Replay finds fewer calls between two checkpoints better on these. */
const recorded = Array.from({ length: 60 }, (_, n) => {
  const call = { kind: "tool_end", tool: "Bash" } as const;
  return aPastSession({ events: Array.from({ length: 40 + n }, (_, at) => ({ at: at * 9_000, ...call })) });
});

it("the step that replay finds best is tried, and not again for 30 days", () => {
  const runtime = tempRuntime();
  aSession(runtime);
  const values = () => betterValues(runtime, recorded);
  const note = expect.stringMatching(/^better in 60 recorded chats: -\d\.\d\d tool calls lost elsewhere/) as string;
  expect(values()).toMatchObject([{ key, from: 10, to: 7, note, replayed: { verdict: "better", n: 60 } }]);
  expect(betterValues(runtime, recorded.slice(0, 19))).toEqual([]);
  pastChats(runtime);
  const { id, ...tried } = startTrial(runtime, key, 7);
  expect(tried).toMatchObject({ state: "canary", verdict: "better", key, from: 10, to: 7 });
  const entry = { kind: "experiment.started", subject: id, actor: "kaizen", detail: { result: "done" } };
  expect(listNewest(runtime, 5)).toMatchObject([entry]);
  // However long it took, the pause begins with its end.
  runtime.wait(20 * dayMs);
  endByHand(runtime, id);
  runtime.wait(29 * dayMs);
  expect(values()).toEqual([]);
  runtime.wait(2 * dayMs);
  expect(values()).toMatchObject([{ key, to: 7 }]);
});

it("one process a day gets the review, and none on the first day", () => {
  const runtime = tempRuntime();
  const claim = (): boolean => runtime.store.write((sql) => claimReview(sql, runtime.now()));
  expect([claim(), claim()]).toEqual([false, false]);
  runtime.wait(86_400_001);
  const other = tempRuntime({ beside: runtime });
  expect([claim(), other.store.write((sql) => claimReview(sql, other.now()))]).toEqual([true, false]);
  runtime.wait(86_400_001);
  expect(claim()).toBe(true);
});

it("a week's figures of recoveries add up: each dead chat once, by its resolution, and only who continued it counts as a continued chat", () => {
  const runtime = tempRuntime();
  const dead = ["one", "two", "three", "four", "five"].map((name, n) => {
    const chat = new Claude(runtime, { cwd: aProject(), session: `${name}-session`, pid: 3_000 + n });
    chat.start();
    chat.write(join(chat.cwd, "parser.ts"), name);
    chat.stop();
    chat.prompt(`and the ${name} test`);
    chat.kill();
    return chat;
  });
  const next = dead.slice(0, 3).map((one, n) => {
    const chat = anotherClaude(runtime, one, { session: `next-${n}`, pid: 4_000 + n });
    chat.start();
    chat.turn("what is this file?");
    return chat;
  });
  const [continued] = next;
  continued?.write(join(continued.cwd, "parser.ts"), "continued");
  continued?.stop();
  for (const { session } of dead.slice(2, 4)) dismiss(runtime, session);
  const resumed = new Claude(runtime, { cwd: dead[4]?.cwd ?? "", session: "five-session", pid: 5_000 });
  runtime.wait(1_000);
  resumed.start("resume");
  expect(runtime.store.read((sql) => weeklyFacts(sql, weekOf(runtime.now())), null)).toMatchObject({
    died: { chats: 5, deaths: 5, continued: 1, resumed: 1, dismissed: 2, open: 1 },
  });
});

it("events have the order, the kinds and the durations of the journal", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("Write the parser");
  claude.write(join(claude.cwd, "parser.ts"), "export {};");
  claude.fail("Bash", { command: "npm test" }, "exit 1");
  claude.kill();
  runtime.wait(60_000);
  new Claude(runtime, { cwd: claude.cwd, pid: 2_000, session: "30487890-04b4-4fe0-bbd5-6aa531354563" }).start();
  const [dead] = runtime.store.read((sql) => pastSessions(sql), []);
  expect(dead?.events.map(({ kind }) => kind)).toEqual(["other", "prompt", "other", "tool_end", "other", "tool_error"]);
  expect(dead?.events[3]).toMatchObject({ tool: "Write", durationMs: 12 });
  expect(dead?.events[5]).toMatchObject({ tool: "Bash", durationMs: 9 });
  expect(dead?.isComplete).toBe(true);
});
