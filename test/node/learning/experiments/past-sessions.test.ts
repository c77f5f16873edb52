import * as fc from "fast-check";
import { expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import { judgePairs } from "#src/learning/experiments/exact-tests.ts";
import { judgeVariants, lostCalls, replay, type SavePolicy } from "#src/machine/learning/replay.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { aSession } from "#harness/experiments/histories.ts";

type Random = () => number;

function heavy(random: Random, scale: number, most: number): number {
  return Math.min(most, Math.floor(scale * ((1 - random()) ** (-1 / 1.3) - 1)));
}

function many<T>(length: number, make: (_: unknown, at: number) => T): T[] {
  return Array.from({ length }, make);
}

/** Of working days. */
function pastSession(random: Random): ReplaySession {
  let at = 0;
  const events = many(5 + heavy(random, 60, 400), (_, index): ReplayEvent => {
    at += 1 + heavy(random, 8_000, 600_000);
    return { at, kind: index % 40 === 0 ? "prompt" : "tool_end" };
  });
  return aSession({ events, endAt: at + heavy(random, 2_000, 60_000) });
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

const busy = aSession({ events: calls(0, 10, 20, 30, 40), endAt: 41_000 });
const waiting = aSession({ events: calls(0, 10), endAt: 900_000 });
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
  const moments = Array.from({ length: session.endAt / 1_000 }, (_, second) => second * 1_000 + 500);
  const isActive = (now: number): boolean => session.events.some(({ at }) => at < now && now - at <= 300_000);
  return moments.filter(isActive).map((now) => {
    const past = session.events.filter(({ at }) => at < now);
    const lost = past.slice(saves.findLast(({ at }) => at < now)?.events ?? 0);
    return lost.filter(({ kind }) => kind === "tool_end" || kind === "tool_error").length;
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
    const session = aSession({ events, endAt: at + rest * 1_000 });
    const losses = sampledLosses(session, policy);
    const total = losses.reduce((sum, one) => sum + one, 0);
    expect(lostCalls(session, replay(session, policy)) * losses.length).toBeCloseTo(total, 4);
  });
  fc.assert(property, { numRuns: 500, seed: 3 });
});

it("a value is judged on the same sessions, from twenty on, without those whose old events are gone", () => {
  const random = seededRandom(2);
  const sessions = many(120, () => pastSession(random));
  const judge = (count: number, values: Readonly<Record<string, number>>) => {
    const forgotten = many(30, () => aSession({ ...sessions[0], isComplete: false }));
    const variants = Object.entries(values).map(([key, value]) => ({ key: `checkpoint.${key}`, from: 0, value }));
    const judged = judgeVariants([...sessions.slice(0, count), ...forgotten], defaults, variants);
    return judged.map(({ replayed: { verdict, n } }) => `${verdict} ${n}`);
  };
  expect(judge(120, { everyMs: 400_000, everyToolCalls: 40 })).toEqual(["equivalent 120", "worse 120"]);
  expect(judge(120, { everyToolCalls: 5 })).toEqual(["better 120"]);
  expect(judge(19, { everyMs: 600_000 })).toEqual(["undecided 19"]);
});

it("power is said: few chats that differ much need more, and a value that changes no checkpoint is seen to", () => {
  const random = seededRandom(4);
  const sessions = many(19, () => pastSession(random));
  const judge = (key: string, value: number) => {
    const [judged] = judgeVariants(sessions, defaults, [{ key, from: 0, value }]);
    return judged?.replayed;
  };
  expect(judge("checkpoint.everyToolCalls", 5)).toMatchObject({ verdict: "undecided", n: 19 });
  expect(judge("checkpoint.everyToolCalls", 5)?.needed).toBeGreaterThanOrEqual(20);
  expect(judge("risk.thresholds.memory", 0.7)).toMatchObject({ changed: 0, difference: 0 });
  const noise = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? 6 : -6) + 0.1);
  const { needed } = judgePairs(noise, 6, 0.5);
  // ((3.09 + 0.84) * 6.08 / 0.45) squared.
  expect(needed).toBeGreaterThan(2_500);
  expect(needed).toBeLessThan(3_500);
});
