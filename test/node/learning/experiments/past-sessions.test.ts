import * as fc from "fast-check";
import { expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import { opportunityPatterns, type OpportunityPattern } from "#src/contract/learning.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import { findOpportunities, unsavedAgeMs } from "#src/learning/experiments/opportunities/find-opportunities.ts";
import type { History, PastSession } from "#src/learning/experiments/opportunities/history.ts";
import { compare, outcomeOf, replay, replayReport, type SavePolicy } from "#src/learning/experiments/replay/replay.ts";
import { withSetting } from "#src/shared/setting-keys.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { aSession } from "#harness/experiments/histories.ts";

const now = 1_700_000_000_000;
const dayMs = 86_400_000;
const windowMs = 30 * dayMs;
type Random = () => number;
type Changed = ReplaySession["changed"];

function heavy(random: Random, scale: number, most: number): number {
  return Math.min(most, Math.floor(scale * ((1 - random()) ** (-1 / 1.3) - 1)));
}

function many<T>(length: number, make: (_: unknown, at: number) => T): T[] {
  return Array.from({ length }, make);
}

/** Of a month; `hazard` is in deaths for each event, which have nothing to do with the checkpoints. */
function someSessions(random: Random, count: number, kind: { hazard: number; events: number }): PastSession[] {
  return many(count, () => pastSession(random, kind)).toSorted((a, b) => a.at - b.at);
}

function pastSession(random: Random, { hazard, events: usual }: { hazard: number; events: number }): PastSession {
  const all = someEvents(random, 5 + heavy(random, usual, 400));
  const died = all.findIndex(() => random() < hazard);
  const events = died < 0 ? all : all.slice(0, died + 1);
  const at = (events.at(-1)?.at ?? 0) + heavy(random, 2_000, 60_000);
  const end: ReplaySession["end"] =
    died < 0 ? { at, kind: "ended", cause: null } : { at, kind: "died", cause: "killed" };
  const saves = someSaves(random, { events, end });
  return { at: now - Math.floor(random() * (windowMs - 1)), session: aSession({ events, saves, end }) };
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

/** 1,000 in `npm run stress -- opportunities`. */
const runs = Number(process.env["SHIM_OPPORTUNITY_RUNS"] ?? 50);
const seed = Number(process.env["SHIM_OPPORTUNITY_SEED"] ?? 1);
const timeout = 240_000 + runs * 1_000;

it("of random months without a pattern at most one in a hundred has a finding", { timeout }, () => {
  const random = seededRandom(seed);
  const month = (): History => {
    const kind = { hazard: random() ** 2 * 0.02, events: 10 + random() * 100 };
    return quiet({ sessions: someSessions(random, heavy(random, 30, 150), kind) });
  };
  const wrong = many(runs, () => findOpportunities(month()).findings).filter(({ length }) => length > 0);
  expect(wrong.length, JSON.stringify(wrong)).toBeLessThanOrEqual(runs / 100);
});

const minute = 60_000;
const call = (at: number) => ({ at, kind: "tool_end" as const });
const saved = (at: number) => ({ at, trigger: "time" });
const died = (at: number) => ({ at, kind: "died", cause: "killed" }) as const;

const dismissed = { at: now, ageMs: 5 * dayMs, resolution: "dismissed" } as const;
const continued = { ...dismissed, resolution: "continued" } as const;

function quiet(changes: Partial<History>): History {
  const nothing = { sessions: [], offers: [], storeBytes: 0 };
  return { now, windowMs, config: defaults, ...nothing, ...changes };
}

/** A chat that died so, with this as the last reading. */
function lastRead(reading: "contextFill" | "hostMemory", value: number, changed: Changed = {}): PastSession {
  const samples = [{ at: 1_000, readings: { [reading]: { value, at: 1_000 } } }];
  const cause = reading === "contextFill" ? "context_full" : "out_of_memory";
  return { at: now, session: aSession({ samples, end: { at: 2_000, kind: "died", cause }, changed }) };
}

function fullContexts(count: number, value: number, changed: Changed = {}): PastSession[] {
  return many(count, () => lastRead("contextFill", value, changed));
}

/** Twenty cases, of which so many are hits. */
function twenty<T>(hits: number, make: (isHit: boolean) => T): T[] {
  return many(20, (_, at) => make(at < hits));
}

function ofSessions(hits: number, make: (isHit: boolean) => PastSession): Partial<History> {
  return { sessions: twenty(hits, make) };
}

const unsavedFor = (ms: number): PastSession => ({ at: now, session: aSession({ events: [call(0)], end: died(ms) }) });

const { maxBytes } = defaults.retention;
/** The fewest hits that are a finding, and a history with so many. */
const fewest: Readonly<Record<OpportunityPattern, [number, (hits: number) => Partial<History>]>> = {
  old_checkpoint_at_death: [17, (hits) => ofSessions(hits, (isHit) => unsavedFor(isHit ? 151_000 : 150_000))],
  context_full_unseen: [8, (hits) => ofSessions(hits, (isHit) => lastRead("contextFill", isHit ? 0.75 : 0.76))],
  out_of_memory_unseen: [8, (hits) => ofSessions(hits, (isHit) => lastRead("hostMemory", isHit ? 0.8 : 0.81))],
  large_store: [80, (percent) => ({ ...ofSessions(0, () => unsavedFor(0)), storeBytes: (percent / 100) * maxBytes })],
  offers_dismissed: [13, (hits) => ({ offers: twenty(hits, (isHit) => (isHit ? dismissed : continued)) })],
};

it.each(opportunityPatterns)("%s is found in as many cases as chance has in one month of 200, in no fewer", (one) => {
  const [least, historyOf] = fewest[one];
  const found = (hits: number) => findOpportunities(quiet(historyOf(hits))).findings.map(({ pattern }) => pattern);
  expect([found(least), found(least - 1)]).toEqual([[one], []]);
});

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

it("a step that would have changed nothing in the records is not advised", () => {
  const none = { parameter: null, to: null, test: "person", expected: null };
  const vain = (what: number) => ({
    ...none,
    advice: expect.stringMatching(`^The replay of .* not find ${what} better`),
  });
  const equal = findOpportunities(quiet(ofSessions(20, () => unsavedFor(200_000))));
  expect(equal.findings).toMatchObject([{ pattern: "old_checkpoint_at_death", ...vain(200_000) }]);
  // The next step is above all that was read.
  const low = findOpportunities(quiet({ sessions: fullContexts(20, 0.4) }));
  expect(low.findings).toMatchObject([{ pattern: "context_full_unseen", ...vain(0.5) }]);
});

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
  const past = someSessions(seededRandom(2), 120, { events: 60, hazard: 0.002 });
  const sessions = past.map(({ session }) => session);
  const report = replayReport(sessions, defaults, [
    { key: "checkpoint.everyMs", from: 300_000, value: 400_000 },
    { key: "checkpoint.everyToolCalls", from: 10, value: 40 },
    { key: "checkpoint.everyToolCalls", from: 10, value: 5 },
  ]);
  const verdicts = report.variants.map(({ comparison }) => comparison.toolCalls.verdict);
  expect(verdicts).toEqual(["equivalent", "worse", "better"]);
  expect(compare(sessions.slice(0, 19), present, every(20, 600_000)).toolCalls.verdict).toBe("undecided");
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
