import * as fc from "fast-check";
import { expect, it } from "vitest";
import * as restarter from "#src/runner/supervisor/auto-restarter.ts";
import { endingOf, type ProgramEnding } from "#src/runner/supervisor/auto-restarter.ts";

const T0 = 1_700_000_000_000;
const rules = restarter.RestartRules.parse({});
const crash: ProgramEnding = { kind: "crashed", reason: "it was ended by signal 9" };
const limited = (waitMs: number | null): ProgramEnding => ({ kind: "limited", waitMs, reason: "a usage limit" });

const ended = (code: number, isLeft = false): ProgramEnding => endingOf({ kind: "exited", code }, isLeft);

it("tells a crash from an end that the user wanted", () => {
  expect(ended(0)).toEqual({ kind: "finished" });
  expect([ended(130), ended(143)]).toEqual([{ kind: "stopped" }, { kind: "stopped" }]);
  expect(ended(143, true)).toEqual({ kind: "left" });
  expect(ended(137)).toEqual({ kind: "crashed", reason: "it was ended by signal 9" });
  expect(ended(139)).toMatchObject({ kind: "crashed" });
  expect(ended(3)).toEqual({ kind: "crashed", reason: "it ended with exit code 3" });
  const reason = "it cannot be started: ENOENT";
  expect(endingOf({ kind: "not_started", message: "ENOENT" }, false)).toEqual({ kind: "crashed", reason });
});

it("what ended well, was stopped or has failed waits for the user", () => {
  const running = restarter.afterStart(restarter.initial(T0), T0);
  const after = (end: ProgramEnding): string => restarter.afterEnd(running, end, T0 + 5_000, rules).phase;
  expect([after({ kind: "finished" }), after({ kind: "stopped" }), after({ kind: "failed", reason: "x" })]).toEqual([
    "finished",
    "stopped",
    "failed",
  ]);
  expect(after({ kind: "left" })).toBe("due");
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
    state = restarter.afterEnd(state, crash, now, { ...rules, ...change });
    const wait = restarter.dueInMs(state, now);
    now += wait ?? 0;
    return wait;
  });
}

it("waits double from 1 s up to 10 min, and begin anew after a run of 10 min", () => {
  const seconds = waits(12, 400_000).map((ms) => (ms ?? 0) / 1_000);
  expect(seconds).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
  expect(waits(4, 600_000)).toEqual([1_000, 1_000, 1_000, 1_000]);
});

it("a clock that was set back makes no program wait longer", () => {
  const state = restarter.afterEnd(restarter.afterStart(restarter.initial(T0), T0), crash, T0, rules);
  expect([
    restarter.dueInMs(state, T0),
    restarter.dueInMs(state, T0 + 400),
    restarter.dueInMs(state, T0 + 2_000),
  ]).toEqual([1_000, 600, 0]);
  expect(restarter.dueInMs(state, T0 - 3_600_000)).toBe(0);
});

it("the fifth crash within 15 min is a loop, and older ones do not count", () => {
  expect(waits(5, 1_000)).toEqual([1_000, 2_000, 4_000, 8_000, null]);
  expect(waits(5, 220_000).at(-1)).toBeNull();
  expect(waits(8, 230_000)).not.toContain(null);
  // Ends that are no crashes do not count.
  let state = restarter.initial(T0);
  for (let round = 0; round < 20; round++) {
    state = restarter.afterEnd(state, limited(60_000), T0, rules);
  }
  expect(state.phase).toBe("due");
});

it("a usage limit is waited for as long as is said; else 5 min doubling up to 5 h", () => {
  const running = restarter.afterStart(restarter.initial(T0), T0);
  expect(restarter.afterEnd(running, limited(3_602_000), T0, rules)).toMatchObject({ phase: "due", waitMs: 3_602_000 });
  let state = running;
  const waits = Array.from({ length: 8 }, () => {
    state = restarter.afterEnd(state, limited(null), T0, rules);
    return state.waitMs / 60_000;
  });
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, 300, 300]);
  expect(restarter.afterEnd(state, crash, T0, rules).limits).toBe(0);
});

const endings: fc.Arbitrary<ProgramEnding> = fc.oneof(
  fc.constant<ProgramEnding>(crash),
  fc.constant<ProgramEnding>({ kind: "finished" }),
  fc.constant<ProgramEnding>({ kind: "stopped" }),
  fc.constant<ProgramEnding>({ kind: "left" }),
  fc.constant<ProgramEnding>({ kind: "failed", reason: "x" }),
  fc.option(fc.integer({ min: 0, max: 7 * 86_400_000 })).map(limited),
);

it("whatever happens, no wait is longer than a week, and no 15 min see more than five crashes started again", () => {
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
        state = restarter.afterEnd(state, end, (now += ranMs), rules);
        if (end.kind === "crashed" && state.phase === "due") restarted.push(now);
        expect(restarted.filter((at) => now - at < rules.loopWithinMs).length).toBeLessThan(rules.loopCrashes);
      }
    }),
    { numRuns: 300 },
  );
});
