import * as fc from "fast-check";
import { expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import { outcomeOf, replay, replayReport, type SavePolicy } from "#src/learning/experiments/replay/replay.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { aSession } from "#harness/experiments/histories.ts";

type Random = () => number;

function heavy(random: Random, scale: number, most: number): number {
  return Math.min(most, Math.floor(scale * ((1 - random()) ** (-1 / 1.3) - 1)));
}

function many<T>(length: number, make: (_: unknown, at: number) => T): T[] {
  return Array.from({ length }, make);
}

/** `hazard` is in deaths for each event, which have nothing to do with the checkpoints. */
function someSessions(random: Random, count: number, kind: { hazard: number; events: number }): ReplaySession[] {
  return many(count, () => pastSession(random, kind));
}

function pastSession(random: Random, { hazard, events: usual }: { hazard: number; events: number }): ReplaySession {
  const all = someEvents(random, 5 + heavy(random, usual, 400));
  const died = all.findIndex(() => random() < hazard);
  const events = died < 0 ? all : all.slice(0, died + 1);
  const at = (events.at(-1)?.at ?? 0) + heavy(random, 2_000, 60_000);
  const end: ReplaySession["end"] =
    died < 0 ? { at, kind: "ended", cause: null } : { at, kind: "died", cause: "killed" };
  const saves = someSaves(random, { events, end });
  return aSession({ events, saves, end });
}

function someEvents(random: Random, length: number): ReplayEvent[] {
  const same = random() * 0.3;
  let at = 0;
  return many(length, (_, index): ReplayEvent => {
    at += 1 + heavy(random, 8_000, 600_000);
    const isSame = random() < same ? { isSame: true as const } : {};
    return { at, kind: index % 40 === 0 ? "prompt" : "tool_end", ...isSame };
  });
}

/** When they are due, and some seconds late. */
function someSaves(random: Random, { events, end }: Pick<ReplaySession, "events" | "end">) {
  const { everyMs, everyToolCalls } = defaults.checkpoint;
  let [calls, savedAt] = [0, -everyMs];
  return events.flatMap(({ at, kind }, index) => {
    calls += kind === "prompt" ? 0 : 1;
    const isFull = calls >= everyToolCalls;
    const dueAt = isFull ? at : Math.max(at, savedAt + everyMs) + Math.floor(random() * 15_000);
    if (!isFull && dueAt >= (events[index + 1]?.at ?? end.at)) return [];
    [calls, savedAt] = [0, dueAt];
    return [{ at: dueAt, trigger: isFull ? "tools" : "time" }];
  });
}

const present: SavePolicy = { risk: defaults.risk, checkpoint: defaults.checkpoint };

function every(everyToolCalls: number, everyMs: number): SavePolicy {
  return { ...present, checkpoint: { everyToolCalls, everyMs } };
}

function calls(...seconds: readonly number[]): ReplayEvent[] {
  return seconds.map((second) => ({ at: second * 1_000, kind: "tool_end", tool: "Bash" }));
}

function full(second: number): ReplaySample {
  const reading = { value: 0.9, at: second * 1_000 };
  return { at: second * 1_000, readings: { contextFill: reading, hostMemory: reading } };
}

const busy = aSession({ events: calls(0, 10, 20, 30, 40), end: { at: 41_000, kind: "ended", cause: null } });
const waiting = aSession({ events: calls(0, 10), end: { at: 900_000, kind: "open", cause: null } });
const rising = aSession({ events: calls(0, 10, 30), samples: [full(20), full(25)] });

it.each<[string, ReplaySession, SavePolicy, string]>([
  ["so many calls or so much time have passed", busy, every(2, 3_600_000), "0 time 1, 20 tools 3, 40 tools 5"],
  ["a chat waits with unsaved work, by the clock", waiting, every(100, 60_000), "0 time 1, 70 time 2"],
  ["the risk rises, once", rising, every(100, 3_600_000), "0 time 1, 20 risk 2"],
])("a checkpoint is made where %s", (_, session, policy, saves) => {
  const made = replay(session, policy).map(({ at, trigger, events }) => `${at / 1_000} ${trigger} ${events}`);
  expect(made.join(", ")).toBe(saves);
});

/** Read at the middle of each second: exact while all times are whole seconds. */
function sampledLosses(session: ReplaySession, policy: SavePolicy) {
  const saves = replay(session, policy);
  const moments = Array.from({ length: session.end.at / 1_000 }, (_, second) => second * 1_000 + 500);
  const isActive = (now: number): boolean => session.events.some(({ at }) => at < now && now - at <= 300_000);
  return moments.filter(isActive).map((now) => {
    const past = session.events.filter(({ at }) => at < now);
    const save = saves.findLast(({ at }) => at < now) ?? { at: past[0]?.at ?? 0, events: 0 };
    const lost = past.slice(save.events);
    const toolCalls = lost.filter(({ kind }) => kind === "tool_end" || kind === "tool_error").length;
    return { toolCalls, seconds: lost.length > 0 ? (now - save.at) / 1_000 : 0 };
  });
}

const event: fc.Arbitrary<Omit<ReplayEvent, "at">> = fc.constantFrom(
  { kind: "tool_end", tool: "Bash" },
  { kind: "tool_end", tool: "Edit" },
  { kind: "tool_error", tool: "Edit" },
  { kind: "prompt" },
  { kind: "turn_end" },
  { kind: "assistant" },
);

it("the loss is the mean over every active moment", () => {
  const gap = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 250, max: 900 }));
  const policies = fc.constantFrom(present, every(3, 60_000), every(1, 15_000), every(50, 3_600_000));
  const anySteps = fc.array(fc.tuple(gap, event), { minLength: 1, maxLength: 40 });
  const property = fc.property(anySteps, gap, policies, (steps, rest, policy) => {
    let at = 0;
    const events = steps.map(([seconds, one]) => ({ ...one, at: (at += seconds * 1_000) }));
    const session = aSession({ events, end: { at: at + rest * 1_000, kind: "ended", cause: null } });
    const losses = sampledLosses(session, policy);
    const outcome = outcomeOf(session, policy);
    expect(outcome.activeHours * 3_600).toBeCloseTo(losses.length, 6);
    for (const name of ["toolCalls", "seconds"] as const) {
      const total = losses.reduce((sum, one) => sum + one[name], 0);
      expect(outcome[name] * losses.length).toBeCloseTo(total, 4);
    }
  });
  fc.assert(property, { numRuns: 500, seed: 3 });
});

it("a policy is judged on the same sessions, and the report counts deaths and remade checkpoints", () => {
  // Of working days; some die.
  const sessions = someSessions(seededRandom(2), 120, { events: 60, hazard: 0.002 });
  const report = replayReport(sessions, defaults, [
    { key: "checkpoint.everyMs", from: 300_000, value: 400_000 },
    { key: "checkpoint.everyToolCalls", from: 10, value: 40 },
    { key: "checkpoint.everyToolCalls", from: 10, value: 5 },
  ]);
  const verdicts = report.variants.map(({ comparison }) => comparison.toolCalls.verdict);
  expect(verdicts).toEqual(["equivalent", "worse", "better"]);
  const few = replayReport(sessions.slice(0, 19), defaults, [
    { key: "checkpoint.everyMs", from: 300_000, value: 600_000 },
  ]);
  expect(few.variants[0]?.comparison.toolCalls.verdict).toBe("undecided");
  const deaths = sessions.filter(({ end }) => end.kind === "died").length;
  expect(report).toMatchObject({ sessions: 120, deaths: { count: deaths } });
  const remade = sessions.map((session): ReplaySession => {
    const saves = replay(session, present).slice(0, 5);
    return aSession({ ...session, saves: saves.map(({ at, trigger }) => ({ at, trigger })) });
  });
  const count = remade.reduce((sum, { saves }) => sum + saves.length, 0);
  expect(replayReport(remade, defaults, [])).toMatchObject({ made: count, remade: count });
  expect(replayReport([aSession({ isComplete: false })], defaults, [])).toMatchObject({ sessions: 0, incomplete: 1 });
});
