import * as fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import { opportunityPatterns, type OpportunityPattern } from "#src/contract/learning.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import { findOpportunities, unsavedAgeMs } from "#src/learning/experiments/opportunities/find-opportunities.ts";
import type { History, PastSession } from "#src/learning/experiments/opportunities/history.ts";
import { compare, outcomeOf, replay, replayReport, type SavePolicy } from "#src/learning/experiments/replay/replay.ts";
import { withSetting } from "#src/shared/setting-keys.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { aHistory, aSession, workingSessions, type Plant } from "#harness/experiments/histories.ts";

/** 1,000 in `npm run stress -- opportunities`. */
const runs = Number(process.env["SHIM_OPPORTUNITY_RUNS"] ?? 50);
const seed = Number(process.env["SHIM_OPPORTUNITY_SEED"] ?? 1);
const timeout = 240_000 + runs * 1_000;

const rows: string[] = [];
afterAll(() => {
  if (process.env["SHIM_OPPORTUNITY_RUNS"] === undefined) return;
  console.log(["| history | runs | found | bound |", "| --- | --- | --- | --- |", ...rows].join("\n"));
});

const dayMs = 86_400_000;
const minute = 60_000;
const now = 1_700_000_000_000;
const models = [
  { type: "type-0", model: "large", tasks: 800, accepted: 720, costMicros: 50_000 },
  { type: "type-0", model: "small", tasks: 800, accepted: 728, costMicros: 5_000 },
];

/** Size and strength that a month of work can have. */
const planted: Readonly<Record<OpportunityPattern, Plant>> = {
  old_checkpoint_at_death: { rates: { failedSaves: 0.95 }, sessions: 200, events: 200, hazard: 0.004 },
  context_full_unseen: { rates: { unseen: 0.8 }, sessions: 120, events: 60, hazard: 0.01, cause: "context_full" },
  out_of_memory_unseen: { rates: { unseen: 0.8 }, sessions: 120, events: 60, hazard: 0.01, cause: "out_of_memory" },
  large_store: { storeShare: 0.85, sessions: 40 },
  offers_dismissed: { rates: { dismissed: 0.8, open: 0.1 }, rows: 40, dismissedAgeMs: 5 * dayMs },
  task_timeouts: { rates: { timedOut: 0.5 }, rows: 60 },
  task_stalls: { rates: { stalled: 0.5 }, rows: 60 },
  uneven_load: { rates: { busiest: 8 }, rows: 300 },
  cheaper_model: { rows: 10, models },
  evolve_rejected: { rates: { rejectedChange: 0.8 }, rows: 60 },
};

it.each(opportunityPatterns)("a history with %s has that finding, run after run @night", { timeout }, (pattern) => {
  const random = seededRandom(seed);
  const count = Math.max(5, runs / 20);
  const found = Array.from({ length: count }, () => findOpportunities(aHistory(random, planted[pattern])).findings);
  const hits = found.filter((findings) => findings.some((one) => one.pattern === pattern)).length;
  rows.push(`| planted: ${pattern} | ${count} | ${((hits / count) * 100).toFixed(1)} % | 100 % |`);
  expect(hits).toBe(count);
});

it("of random histories without a pattern at most one in a hundred has a finding @night", { timeout }, () => {
  const random = seededRandom(seed);
  const found = Array.from({ length: runs }, () => findOpportunities(aHistory(random)).findings.map(({ id }) => id));
  const wrong = found.filter(({ length }) => length > 0);
  rows.push(`| without a pattern | ${runs} | ${((wrong.length / runs) * 100).toFixed(2)} % | at most 1 % |`);
  expect(wrong.length, JSON.stringify(wrong)).toBeLessThanOrEqual(runs / 100);
});

const dismissed = { at: now, ageMs: 5 * dayMs, resolution: "dismissed" } as const;

function quiet(changes: Partial<History>): History {
  const nothing = { sessions: [], offers: [], storeBytes: 0, team: null, changes: [] };
  return { now, windowMs: 30 * dayMs, config: defaults, ...nothing, ...changes };
}

/** Chats that died of a full context, as the last reading has it. */
function fullContexts(count: number, value: number, changed: ReplaySession["changed"] = {}, at = now): PastSession[] {
  const samples = [{ at: 1_000, readings: { contextFill: { value, at: 1_000 } } }];
  const end = { at: 2_000, kind: "died", cause: "context_full" } as const;
  return Array.from({ length: count }, () => ({ at, session: aSession({ samples, end, changed }) }));
}

it("the same history has the same findings, and one case below the minimum has none", () => {
  const history = quiet({ sessions: fullContexts(8, 0.7) });
  const { findings } = findOpportunities(history);
  expect(findOpportunities(structuredClone(history)).findings).toEqual(findings);
  expect(findings.map(({ id, to }) => [id, to])).toEqual([["context_full_unseen:risk.thresholds.contextFill", 0.5]]);
  const fewer = findOpportunities(quiet({ sessions: fullContexts(7, 0.7) }));
  const unjudged = { pattern: "context_full_unseen", subject: "risk.thresholds.contextFill", n: 7, minimum: 8 };
  expect([fewer.findings, fewer.unjudged]).toEqual([[], expect.arrayContaining([unjudged])]);
});

it("sessions that ran with another value, or with one that is not known, are no evidence", () => {
  const other = { "risk.thresholds.contextFill": 0.9 };
  for (const changed of [other, null])
    expect(findOpportunities(quiet({ sessions: fullContexts(50, 0.7, changed) })).findings).toEqual([]);
  const config = withSetting(defaults, "risk.thresholds.contextFill", 0.9);
  const { findings } = findOpportunities(quiet({ config, sessions: fullContexts(50, 0.7, other) }));
  expect(findings).toMatchObject([{ from: 0.9, to: 0.6, test: "replay" }]);
});

it("a finding ends when its evidence has left the window", () => {
  const sessions = fullContexts(50, 0.7);
  const after = (ms: number) => findOpportunities(quiet({ now: now + ms, sessions })).findings.length;
  expect([after(0), after(30 * dayMs - 1), after(30 * dayMs), after(-1)]).toEqual([1, 1, 0, 0]);
});

it("a step within the bounds is proposed with its effect; at a bound, or without a parameter, a person decides", () => {
  const offers = Array.from({ length: 20 }, () => dismissed);
  const advice = expect.stringContaining("shim config set offerMaxAgeMs 302400000");
  expect(findOpportunities(quiet({ offers })).findings).toMatchObject([
    { subject: "offerMaxAgeMs", parameter: null, to: null, test: "person", advice },
  ]);
  const effect = { figure: "sharePrevented", value: 1 };
  const within = findOpportunities(quiet({ sessions: fullContexts(20, 0.7) }));
  expect(within.findings).toMatchObject([{ to: 0.5, test: "replay", expected: effect }]);
  const fromBound = withSetting(defaults, "risk.thresholds.contextFill", 0.4);
  const changed = { "risk.thresholds.contextFill": 0.4 };
  const atBound = findOpportunities(quiet({ config: fromBound, sessions: fullContexts(20, 0.3, changed) }));
  expect(atBound.findings).toMatchObject([{ from: 0.4, to: null, test: "person", expected: null }]);
});

const call = (at: number) => ({ at, kind: "tool_end" as const });
const saved = (at: number) => ({ at, trigger: "time" });
const died = (at: number) => ({ at, kind: "died", cause: "killed" }) as const;

it("the age of a checkpoint is the time since the first event after it that changed something", () => {
  const events = [call(0), call(4 * minute), { ...call(6 * minute), isSame: true as const }, call(7 * minute)];
  const end = died(10 * minute);
  const ageAfter = (...saves: number[]) => unsavedAgeMs(aSession({ events, saves: saves.map(saved), end }));
  expect([ageAfter(), ageAfter(5 * minute), ageAfter(5 * minute, 7 * minute)]).toEqual([10 * minute, 3 * minute, 0]);
});

it("a death in a pause is no case", () => {
  const found = (at: number) => {
    const session = aSession({ events: [call(0), call(60_000)], end: died(at) });
    const sessions = Array.from({ length: 40 }, () => ({ at: now, session }));
    return findOpportunities(quiet({ windowMs: minute, sessions })).findings.length;
  };
  expect([found(6 * minute), found(6 * minute + 1)]).toEqual([1, 0]);
});

const usual: SavePolicy = { risk: defaults.risk, checkpoint: defaults.checkpoint };

function every(everyToolCalls: number, everyMs: number): SavePolicy {
  return { ...usual, checkpoint: { everyToolCalls, everyMs } };
}

function calls(...seconds: readonly number[]): ReplayEvent[] {
  return seconds.map((second) => ({ at: second * 1_000, kind: "tool_end", tool: "Bash" }));
}

function full(second: number): ReplaySample {
  const reading = { value: 0.9, at: second * 1_000 };
  return { at: second * 1_000, readings: { contextFill: reading, hostMemory: reading } };
}

it("a call is followed by a checkpoint when so many calls or so much time have passed", () => {
  const session = aSession({ events: calls(0, 10, 20, 30, 40), end: { at: 41_000, kind: "ended", cause: null } });
  expect(replay(session, every(2, 3_600_000)).map(({ at, trigger, events }) => [at, trigger, events])).toEqual([
    [0, "time", 1],
    [20_000, "tools", 3],
    [40_000, "tools", 5],
  ]);
});

it("a chat that waits with unsaved work is saved by the clock", () => {
  const session = aSession({ events: calls(0, 10), end: { at: 900_000, kind: "open", cause: null } });
  expect(replay(session, every(100, 60_000)).map(({ at }) => at)).toEqual([0, 70_000]);
});

it("a rise of the risk makes a checkpoint, once", () => {
  const session = aSession({ events: calls(0, 10, 30), samples: [full(20), full(25)] });
  expect(replay(session, every(100, 3_600_000)).map(({ at, trigger }) => [at, trigger])).toEqual([
    [0, "time"],
    [20_000, "risk"],
  ]);
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
  const policies = fc.constantFrom(usual, every(3, 60_000), every(1, 15_000), every(50, 3_600_000));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(gap, event), { minLength: 1, maxLength: 40 }),
      gap,
      policies,
      (steps, rest, policy) => {
        let at = 0;
        const events = steps.map(([seconds, one]) => ({ ...one, at: (at += seconds * 1_000) }));
        const session = aSession({ events, end: { at: at + rest * 1_000, kind: "ended", cause: null } });
        const losses = sampledLosses(session, policy);
        const outcome = outcomeOf(session, policy);
        expect(outcome.activeHours * 3_600).toBeCloseTo(losses.length, 6);
        for (const name of ["toolCalls", "seconds"] as const)
          expect(outcome[name] * losses.length).toBeCloseTo(
            losses.reduce((sum, one) => sum + one[name], 0),
            4,
          );
      },
    ),
    { numRuns: 500, seed: 3 },
  );
});

it("a policy is judged on the same sessions, and the report counts deaths and remade checkpoints @night", () => {
  const sessions = workingSessions(120, 2);
  const report = replayReport(sessions, defaults, [
    { key: "checkpoint.everyMs", from: 300_000, value: 400_000 },
    { key: "checkpoint.everyToolCalls", from: 10, value: 40 },
    { key: "checkpoint.everyToolCalls", from: 10, value: 5 },
  ]);
  const verdicts = report.variants.map(({ comparison }) => comparison.toolCalls.verdict);
  expect(verdicts).toEqual(["equivalent", "worse", "better"]);
  expect(compare(sessions.slice(0, 19), usual, every(20, 600_000)).toolCalls.verdict).toBe("undecided");
  const deaths = sessions.filter(({ end }) => end.kind === "died").length;
  expect(report).toMatchObject({ sessions: 120, deaths: { count: deaths } });
  const remade = sessions.map((session): ReplaySession => {
    const saves = replay(session, usual).slice(0, 5);
    return aSession({ ...session, saves: saves.map(({ at, trigger }) => ({ at, trigger })) });
  });
  const count = remade.reduce((sum, { saves }) => sum + saves.length, 0);
  expect(replayReport(remade, defaults, [])).toMatchObject({ made: count, remade: count });
  expect(replayReport([aSession({ isComplete: false })], defaults, [])).toMatchObject({ sessions: 0, incomplete: 1 });
});
