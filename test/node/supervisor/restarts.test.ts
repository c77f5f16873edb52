import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { EndEvent } from "#src/worker-runner/client/run-events.ts";
import * as restarter from "#src/supervisor/auto-restarter.ts";
import { classifyEnd, type ProgramEnding, type EndEvidence } from "#src/supervisor/auto-restarter.ts";

const T0 = 1_700_000_000_000;
const rules = restarter.RestartRules.parse({});
const policy = (when: restarter.RestartWhen = "on-crash") => ({ when, rules });
const crash: ProgramEnding = { kind: "crashed", reason: "it was ended by signal 9" };

const result = (change: Partial<EndEvent>): EndEvent => ({
  kind: "ended",
  subtype: "success",
  isError: false,
  terminalReason: null,
  text: "",
  turns: 1,
  refused: 0,
  tokens: null,
  costUsd: null,
  isPart: true,
  ...change,
});

function ending(code: number, change: Partial<EndEvidence> = {}): ProgramEnding {
  const ended = { kind: "exited", code } as const;
  return classifyEnd({ exit: ended, wasAskedToEnd: false, isSessionOver: false, limit: null, result: null, ...change });
}

it("[SU1] [SU31] [SU32] [SU33] [SU34] tells a crash from an end that the user wanted, a limit and a failure", () => {
  expect(ending(0)).toEqual({ kind: "finished" });
  expect(ending(137, { isSessionOver: true })).toEqual({ kind: "finished" });
  expect([ending(130), ending(143)]).toEqual([{ kind: "stopped" }, { kind: "stopped" }]);
  expect(ending(143, { wasAskedToEnd: true })).toEqual({ kind: "left" });
  expect(ending(0, { wasAskedToEnd: true, isSessionOver: true })).toEqual({ kind: "finished" });
  expect(ending(137)).toEqual({ kind: "crashed", reason: "it was ended by signal 9" });
  expect(ending(139)).toMatchObject({ kind: "crashed" });
  expect(ending(3)).toEqual({ kind: "crashed", reason: "it ended with exit code 3" });
  const ended = { kind: "not_started", message: "ENOENT" } as const;
  expect(ending(0, { exit: ended })).toEqual({ kind: "crashed", reason: "it cannot be started: ENOENT" });
  const limit = { resetsAtMs: T0 };
  expect(ending(1, { limit })).toEqual({ kind: "limited", resetsAtMs: T0 });
  // It was met, and the request went through later.
  expect(ending(0, { limit, result: result({}) })).toEqual({ kind: "finished" });
  expect(ending(0, { limit, result: result({ isError: true }) })).toMatchObject({ kind: "limited" });
  expect(ending(1, { result: result({ isError: true, subtype: "error_max_turns" }) })).toEqual({
    kind: "failed",
    reason: "error_max_turns",
  });
  const broken = { isError: true, subtype: "error_during_execution" };
  expect(ending(1, { result: result(broken) })).toEqual({ kind: "crashed", reason: "it ended with exit code 1" });
  expect(ending(0, { result: result(broken) })).toEqual({
    kind: "crashed",
    reason: "Claude Code ended with error_during_execution",
  });
  expect(ending(0, { result: result({ ...broken, terminalReason: "aborted_tools" }) })).toEqual({ kind: "stopped" });
});

it("[SU2] what ended well, was stopped or has failed waits for the user; always and never are obeyed", () => {
  const running = restarter.afterStart(restarter.initial(T0), T0);
  const after = (end: ProgramEnding, when?: restarter.RestartWhen): string =>
    restarter.afterEnd(running, end, T0 + 5_000, policy(when)).phase;
  const failed: ProgramEnding = { kind: "failed", reason: "x" };
  const limited: ProgramEnding = { kind: "limited", resetsAtMs: null };
  expect([after({ kind: "finished" }), after({ kind: "stopped" }), after(failed)]).toEqual([
    "finished",
    "stopped",
    "failed",
  ]);
  expect([after({ kind: "finished" }, "always"), after({ kind: "stopped" }, "always")]).toEqual(["due", "stopped"]);
  expect([after(crash, "never"), after(limited, "never"), after({ kind: "left" }, "never")]).toEqual([
    "failed",
    "failed",
    "due",
  ]);
  for (const phase of ["finished", "stopped", "failed", "looping", "running"] as const) {
    expect(restarter.dueInMs({ ...running, phase }, T0 + 1e12)).toBeNull();
  }
  expect(restarter.afterTakeover(running, T0 + 9)).toMatchObject({ phase: "due", waitMs: 0, crashes: [] });
});

/** Crashes after `ranMs` each, started as soon as it may. @returns the waits */
function waits(count: number, ranMs: number, change: Partial<restarter.RestartRules> = {}): (number | null)[] {
  let now = T0;
  let state = restarter.initial(now);
  return Array.from({ length: count }, () => {
    state = restarter.afterStart(state, now);
    now += ranMs;
    state = restarter.afterEnd(state, crash, now, { when: "on-crash", rules: { ...rules, ...change } });
    const wait = restarter.dueInMs(state, now);
    now += wait ?? 0;
    return wait;
  });
}

it("[SU3] waits double from 1 s up to 10 min, and begin anew after a run of 10 min", () => {
  const seconds = waits(12, 400_000).map((ms) => (ms ?? 0) / 1_000);
  expect(seconds).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
  expect(waits(4, 600_000)).toEqual([1_000, 1_000, 1_000, 1_000]);
});

it("[SU3] a clock that was set back makes no program wait longer", () => {
  const state = restarter.afterEnd(restarter.afterStart(restarter.initial(T0), T0), crash, T0, policy());
  expect([
    restarter.dueInMs(state, T0),
    restarter.dueInMs(state, T0 + 400),
    restarter.dueInMs(state, T0 + 2_000),
  ]).toEqual([1_000, 600, 0]);
  expect(restarter.dueInMs(state, T0 - 3_600_000)).toBe(0);
});

it("[SU4] the fifth crash within 15 min is a loop, and older ones do not count", () => {
  expect(waits(5, 1_000)).toEqual([1_000, 2_000, 4_000, 8_000, null]);
  expect(waits(5, 220_000).at(-1)).toBeNull();
  expect(waits(8, 230_000)).not.toContain(null);
  // Ends that are no crashes do not count.
  let state = restarter.initial(T0);
  for (let round = 0; round < 20; round++) {
    state = restarter.afterEnd(state, { kind: "limited", resetsAtMs: T0 + 60_000 }, T0, policy());
  }
  expect(state.phase).toBe("due");
});

it("[SU5] waits for the reported reset, at most a week; else 5 min doubling up to 5 h", () => {
  const running = restarter.afterStart(restarter.initial(T0), T0);
  const wait = (resetsAtMs: number): number =>
    restarter.afterEnd(running, { kind: "limited", resetsAtMs }, T0, policy()).waitMs;
  expect(wait(T0 + 3_600_000)).toBe(3_602_000);
  expect(wait(T0 + 1e12)).toBe(7 * 86_400_000);
  let state = running;
  const waits = Array.from({ length: 8 }, () => {
    state = restarter.afterEnd(state, { kind: "limited", resetsAtMs: null }, T0, policy());
    return state.waitMs / 60_000;
  });
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, 300, 300]);
  expect(restarter.afterEnd(state, crash, T0, policy()).limits).toBe(0);
  // The reported reset has passed already, and still it does not start.
  expect(wait(T0 - 1)).toBe(300_000);
});

const endings: fc.Arbitrary<ProgramEnding> = fc.oneof(
  fc.constant<ProgramEnding>(crash),
  fc.constant<ProgramEnding>({ kind: "finished" }),
  fc.constant<ProgramEnding>({ kind: "stopped" }),
  fc.constant<ProgramEnding>({ kind: "left" }),
  fc.constant<ProgramEnding>({ kind: "failed", reason: "x" }),
  fc
    .option(fc.integer({ min: T0 - 1e9, max: T0 + 1e12 }))
    .map((at): ProgramEnding => ({ kind: "limited", resetsAtMs: at })),
);

it("[SU3] [SU4] whatever happens, no wait is longer than a week, and no 15 min see more than five crashes started again", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(endings, fc.integer({ min: 0, max: 1e6 })), { maxLength: 60 }), (events) => {
      let now = T0;
      let state = restarter.initial(now);
      const restarted: number[] = [];
      for (const [end, ranMs] of events) {
        const wait = restarter.dueInMs(state, now);
        if (wait === null) return;
        expect(wait).toBeLessThanOrEqual(7 * 86_400_000);
        state = restarter.afterStart(state, (now += wait));
        state = restarter.afterEnd(state, end, (now += ranMs), policy());
        if (end.kind === "crashed" && state.phase === "due") restarted.push(now);
        expect(restarted.filter((at) => now - at < rules.loopWithinMs).length).toBeLessThan(rules.loopCrashes);
      }
    }),
    { numRuns: 300 },
  );
});
