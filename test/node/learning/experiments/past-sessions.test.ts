import * as fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import { opportunityPatterns, type OpportunityPattern } from "#src/contract/learning.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import { findOpportunities, unsavedAgeMs } from "#src/learning/experiments/opportunities/find-opportunities.ts";
import type {
  History,
  PastOffer,
  PastSession,
  TaskTypeHistory,
  TeamHistory,
} from "#src/learning/experiments/opportunities/history.ts";
import { compare, outcomeOf, replay, replayReport, type SavePolicy } from "#src/learning/experiments/replay/replay.ts";
import { withSetting } from "#src/shared/setting-keys.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { aSession } from "#harness/experiments/histories.ts";

const now = 1_700_000_000_000;
const dayMs = 86_400_000;
const windowMs = 30 * dayMs;
const causes = ["killed", "closed", "context_full", "out_of_memory", "usage_limit", "unknown"];

/** Shares that are still usual, by the detector's own bounds; `busiest`: tasks of the first chat, in units of its fair share. */
const usual = {
  /** Deaths before which checkpoints failed for a while. */
  failedSaves: 0,
  unseen: 0.1,
  dismissed: 0.3,
  open: 0.5,
  timedOut: 0.1,
  stalled: 0.1,
  rejectedChange: 0.3,
  busiest: 2,
};

type Rates = typeof usual;
type Random = () => number;

interface Plant {
  readonly rates?: Partial<Rates>;
  readonly sessions?: number;
  readonly events?: number;
  /** Deaths for each event. */
  readonly hazard?: number;
  readonly cause?: string;
  readonly storeShare?: number;
  /** Tasks of each of two types, and as many offers and tasks by chat. */
  readonly rows?: number;
  readonly dismissedAgeMs?: number;
  readonly models?: TeamHistory["models"];
}

/** Half of the rates at the bound, where a false finding is likeliest. */
function usualRates(random: Random): Rates {
  const rates = Object.entries(usual).map(([name, bound]) => [name, random() < 0.5 ? bound : bound * random()]);
  const all = Object.fromEntries(rates) as Rates;
  return { ...all, busiest: Math.max(1, all.busiest), open: Math.min(all.open, 1 - all.dismissed) };
}

function heavy(random: Random, scale: number, most: number): number {
  return Math.min(most, Math.floor(scale * ((1 - random()) ** (-1 / 1.3) - 1)));
}

function timeInWindow(random: Random): number {
  return now - Math.floor(random() * (windowMs - 1));
}

function many<T>(length: number, make: (_: unknown, at: number) => T): T[] {
  return Array.from({ length }, make);
}

function aHistory(random: Random, plant: Plant = {}): History {
  const rates = { ...usualRates(random), ...plant.rates };
  const rows = (): number => plant.rows ?? heavy(random, 25, 300);
  const kind = { hazard: random() ** 2 * 0.02, events: 10 + random() * 100, ...plant };
  const sessions = many(plant.sessions ?? heavy(random, 30, 150), () => pastSession(random, rates, kind));
  return {
    now,
    windowMs,
    config: defaults,
    sessions: sessions.toSorted((a, b) => a.at - b.at),
    offers: many(rows(), () => anOffer(random, rates, plant)),
    storeBytes: (plant.storeShare ?? 0.79 * random()) * defaults.retention.maxBytes,
    team: plant.rows === undefined && random() < 0.3 ? null : aTeam(random, rates, plant, rows),
    changes: many(rows(), () => {
      const at = timeInWindow(random);
      return { at, rule: "oxlint no-var", isRejected: random() < rates.rejectedChange };
    }),
  };
}

function anOffer(random: Random, rates: Rates, { dismissedAgeMs }: Plant): PastOffer {
  const draw = random();
  const ageMs = heavy(random, 3_600_000, 7 * dayMs);
  // Those of the last day may still be taken.
  const at = timeInWindow(random) - dayMs;
  if (draw < rates.dismissed) return { at, ageMs: dismissedAgeMs ?? ageMs, resolution: "dismissed" };
  return { at, ageMs, resolution: draw < rates.dismissed + rates.open ? "open" : "continued" };
}

function aTeam(random: Random, rates: Rates, { models, rows: planted }: Plant, rows: () => number): TeamHistory {
  const types = planted === undefined ? heavy(random, 2, 8) : 2;
  const capacities = many(3 + Math.floor(random() * 6), () => 1 + Math.floor(random() * 4));
  // A chat that has most of the capacity cannot have twice its fair share.
  if (rates.busiest > usual.busiest) capacities[0] = 1;
  const [first = 1, ...rest] = capacities;
  const total = capacities.reduce((sum, one) => sum + one, 0);
  const share = Math.min(1, (rates.busiest * first) / total);
  const tasks = capacities.map(() => 0);
  for (let task = rows(); task > 0; task--) {
    let left = random() * (total - first);
    const at = random() < share ? 0 : 1 + rest.findIndex((one) => (left -= one) < 0);
    tasks[at] = (tasks[at] ?? 0) + 1;
  }
  return {
    taskTypes: many(types, (_, at) => aTaskType(`type-${at}`, random, rates, rows)),
    chats: capacities.map((capacity, at) => ({ capacity, tasks: tasks[at] ?? 0 })),
    models: models === undefined ? worseModels(random) : models,
  };
}

function aTaskType(type: string, random: Random, rates: Rates, rows: () => number): TaskTypeHistory {
  const times = (share: number, most: number): number => (random() < share ? 1 + heavy(random, 1, most) : 0);
  const task = () => ({
    at: timeInWindow(random),
    timeouts: times(rates.timedOut, 5),
    stalls: times(rates.stalled, 3),
  });
  const tasks = many(rows(), task);
  return { type, tasks, runP95Ms: random() < 0.5 ? null : 1_000 + heavy(random, 60_000, dayMs) };
}

/** The cheaper model is worse by as much as matters. */
function worseModels(random: Random): TeamHistory["models"] {
  if (random() < 0.5) return null;
  const share = 0.3 + 0.7 * random();
  const outcomes = (model: string, costMicros: number, accepted: number) => {
    const tasks = heavy(random, 100, 2_000);
    const hits = many(tasks, () => random() < accepted).filter(Boolean).length;
    return { type: "type-0", model, tasks, accepted: hits, costMicros };
  };
  return [outcomes("large", 50_000, share), outcomes("small", 5_000, share - 0.1)];
}

/** A session whose death has nothing to do with its readings, unless that is planted. */
function pastSession(random: Random, rates: Rates, kind: Plant & { hazard: number; events: number }): PastSession {
  const all = someEvents(random, 5 + heavy(random, kind.events, 400));
  const died = all.findIndex(() => random() < kind.hazard);
  const events = died < 0 ? all : all.slice(0, died + 1);
  const at = (events.at(-1)?.at ?? 0) + heavy(random, 2_000, 60_000);
  const cause = kind.cause ?? causes[Math.floor(random() * causes.length)] ?? "killed";
  const end: ReplaySession["end"] =
    died < 0 ? { at, kind: random() < 0.9 ? "ended" : "open", cause: null } : { at, kind: "died", cause };
  const samples = [...someSamples(random, events), ...lastSample(random, rates, end)];
  const saves = someSaves(random, rates, { events, end });
  return { at: timeInWindow(random), session: aSession({ events, samples, saves, end }) };
}

function someEvents(random: Random, length: number): ReplayEvent[] {
  const same = random() * 0.3;
  const errors = random() < 0.3 ? 0.5 : random() * 0.2;
  let at = 0;
  return many(length, (_, index): ReplayEvent => {
    at += 1 + heavy(random, 8_000, 600_000);
    if (index % 40 === 0) return { at, kind: "prompt" };
    const kind = random() < errors ? "tool_error" : "tool_end";
    const isSame = random() < same ? { isSame: true as const } : {};
    return { at, kind, tool: `tool-${Math.floor(random() * 4)}`, durationMs: heavy(random, 500, 100_000), ...isSame };
  });
}

function someSamples(random: Random, events: readonly ReplayEvent[]): ReplaySample[] {
  const step = 0.02 * random();
  const memory = random();
  return events.flatMap(({ at }, index) => {
    if (random() < 0.7) return [];
    const contextFill = { value: Math.min(1, index * step * random()), at };
    const hostMemory = { value: Math.min(1, memory * (0.7 + 0.5 * random())), at };
    const rateLimit = { value: random() < 0.1 ? 0.95 : random() * 0.9, at };
    return [{ at, readings: { contextFill, hostMemory, rateLimit } }];
  });
}

/** The reading that a death of a cause implies, or does not. */
function lastSample(random: Random, rates: Rates, { at, kind, cause }: ReplaySession["end"]): ReplaySample[] {
  if (kind !== "died" || (cause !== "context_full" && cause !== "out_of_memory")) return [];
  const value = random() < rates.unseen ? 0.55 + 0.2 * random() : 0.85 + 0.15 * random();
  return [{ at, readings: { [cause === "context_full" ? "contextFill" : "hostMemory"]: { value, at } } }];
}

/** When they are due, and some seconds late. */
function someSaves(random: Random, rates: Rates, { events, end }: Pick<ReplaySession, "events" | "end">) {
  const { everyMs, everyToolCalls } = defaults.checkpoint;
  const isFailing = end.kind === "died" && random() < rates.failedSaves;
  const failsFrom = isFailing ? end.at - everyMs * (1 + 2 * random()) : Infinity;
  let [calls, savedAt] = [0, -everyMs];
  return events.flatMap(({ at, kind }, index) => {
    calls += kind === "prompt" ? 0 : 1;
    const isFull = calls >= everyToolCalls;
    const dueAt = isFull ? at : Math.max(at, savedAt + everyMs) + Math.floor(random() * 15_000);
    if (!isFull && dueAt >= (events[index + 1]?.at ?? end.at)) return [];
    [calls, savedAt] = [0, dueAt];
    return dueAt < failsFrom ? [{ at: dueAt, trigger: isFull ? "tools" : "time" }] : [];
  });
}

/** 1,000 in `npm run stress -- opportunities`. */
const runs = Number(process.env["SHIM_OPPORTUNITY_RUNS"] ?? 50);
const seed = Number(process.env["SHIM_OPPORTUNITY_SEED"] ?? 1);
const timeout = 240_000 + runs * 1_000;

const rows: string[] = [];
afterAll(() => {
  if (process.env["SHIM_OPPORTUNITY_RUNS"] === undefined) return;
  console.log(["| history | runs | found | bound |", "| --- | --- | --- | --- |", ...rows].join("\n"));
});

const minute = 60_000;
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
  return { now, windowMs, config: defaults, ...nothing, ...changes };
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
  const policies = fc.constantFrom(present, every(3, 60_000), every(1, 15_000), every(50, 3_600_000));
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
  // Of working days; some die.
  const history = aHistory(seededRandom(2), { sessions: 120, events: 60, hazard: 0.002 });
  const sessions = history.sessions.map(({ session }) => session);
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
