import * as fc from "fast-check";
import { expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "#src/contract/replay.ts";
import { compare, outcomeOf, replayReport } from "#src/learning/experiments/replay/replay.ts";
import { replay, type SavePolicy } from "#src/learning/experiments/replay/replay.ts";
import { aSession, workingSessions } from "#harness/experiments/histories.ts";

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

interface SampledLoss {
  readonly toolCalls: number;
  readonly seconds: number;
}

/** Read at the middle of each second: exact while all times are whole seconds. */
function sampledLosses(session: ReplaySession, policy: SavePolicy): SampledLoss[] {
  const saves = replay(session, policy);
  const moments = Array.from({ length: session.end.at / 1_000 }, (_, second) => second * 1_000 + 500);
  const isActive = (now: number): boolean => session.events.some(({ at }) => at < now && now - at <= 300_000);
  return moments.filter(isActive).map((now) => {
    const past = session.events.filter(({ at }) => at < now);
    const save = saves.findLast(({ at }) => at < now) ?? { at: past[0]?.at ?? 0, events: 0 };
    return lossOf(past.slice(save.events), now - save.at);
  });
}

function lossOf(events: readonly ReplayEvent[], ageMs: number): SampledLoss {
  return {
    toolCalls: events.filter(({ kind }) => kind === "tool_end" || kind === "tool_error").length,
    seconds: events.length > 0 ? ageMs / 1_000 : 0,
  };
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

it("a policy is judged on the same sessions: worse, better, no difference that matters, or too few sessions @night", () => {
  const sessions = workingSessions(120, 2);
  const verdictOf = (policy: SavePolicy, of = sessions): string => compare(of, usual, policy).toolCalls.verdict;
  expect(verdictOf(every(20, 600_000))).toBe("worse");
  expect(verdictOf(every(5, 300_000))).toBe("better");
  expect(verdictOf(every(10, 400_000))).toBe("equivalent");
  expect(verdictOf(every(20, 600_000), sessions.slice(0, 19))).toBe("undecided");
});

function withReplayedSaves(session: ReplaySession): ReplaySession {
  const saves = replay(session, usual).slice(0, 5);
  return { ...session, saves: saves.map(({ at, trigger }) => ({ at, trigger })) };
}

function verdictsOf({ variants }: ReturnType<typeof replayReport>) {
  return variants.map(({ comparison }) => comparison.toolCalls.verdict);
}

it("an interval that does not matter has that verdict; the report counts deaths, warnings and remade checkpoints @night", () => {
  const sessions = workingSessions(120, 2);
  const made = replayReport(sessions, defaults, [{ key: "checkpoint.everyMs", from: 300_000, value: 400_000 }]);
  expect(verdictsOf(made)).toEqual(["equivalent"]);
  expect(made.sessions).toBe(120);
  expect(made.deaths.count).toBe(sessions.filter(({ end }) => end.kind === "died").length);
  const far = replayReport(sessions, defaults, [{ key: "checkpoint.everyToolCalls", from: 10, value: 40 }]);
  expect(verdictsOf(far)).toEqual(["worse"]);
  const remade = sessions.map(withReplayedSaves);
  const count = remade.reduce((sum, { saves }) => sum + saves.length, 0);
  expect(replayReport(remade, defaults, [])).toMatchObject({ made: count, remade: count });
  expect(replayReport([aSession({ isComplete: false })], defaults, [])).toMatchObject({ sessions: 0, incomplete: 1 });
});
