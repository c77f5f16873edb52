import { expect, it } from "vitest";
import {
  judgeCanary,
  observeSession,
  planCanary,
  startCanaryState,
  type CanaryVerdict,
  type Measured,
} from "#src/experiments/engine/canary.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

const plan = planCanary({ share: 0.5, dollars: 1, isLive: false, watchUnits: 200, maxDays: 28 });
const random = seededRandom(3);

function event(rate: number): number {
  return random() < rate ? 1 : 0;
}

function usual(): Measured {
  return {
    unsavedDeath: event(0.1),
    slowSaves: event(0.005),
    slowRecoveries: 0,
    toolErrors: random() * 0.2,
    dollars: -Math.log(1 - random()),
    restoreScore: 0.9 + random() * 0.1,
  };
}

/** Judged after every session, until there is a verdict. */
function runCanary(harm: Partial<Record<keyof Measured, () => number>>): { verdict: CanaryVerdict; sessions: number } {
  let state = startCanaryState(plan);
  for (let sessions = 1; ; sessions++) {
    const isTreated = random() < 0.5;
    const harmed = Object.entries(harm).map(([name, draw]) => [name, draw()]);
    const measured = isTreated ? { ...usual(), ...Object.fromEntries(harmed) } : usual();
    // Stored as JSON between two sessions.
    state = JSON.parse(JSON.stringify(observeSession(plan, state, { isTreated, measured }))) as typeof state;
    const verdict = judgeCanary(plan, state, 0);
    if (verdict !== "running") return { verdict, sessions };
  }
}

function stopped(runs: number, harm: Parameters<typeof runCanary>[0]): { share: number; latest: number } {
  const all = Array.from({ length: runs }, () => runCanary(harm));
  const hits = all.filter(({ verdict }) => verdict === "stopped");
  return { share: hits.length / runs, latest: Math.max(0, ...hits.map(({ sessions }) => sessions)) };
}

it("[EX55] a canary without harm is hardly ever stopped, and ends with its planned sessions", () => {
  const all = Array.from({ length: 100 }, () => runCanary({}));
  expect(all.filter(({ verdict }) => verdict === "stopped").length).toBeLessThanOrEqual(3);
  expect(
    all.every(({ verdict, sessions }) => verdict === "stopped" || (verdict === "better" && sessions === 200)),
  ).toBe(true);
});

it("[EX55] gross harm is stopped before the canary ends: slow saves, deaths with unsaved work, failed calls", () => {
  expect(stopped(40, { slowSaves: () => 0.5 })).toMatchObject({ share: 1 });
  expect(stopped(40, { unsavedDeath: () => event(0.6) }).share).toBeGreaterThan(0.9);
  expect(stopped(40, { toolErrors: () => 0.2 + random() * 0.2 }).share).toBeGreaterThan(0.9);
});

it("[EX55] a canary that has not had its sessions within its days proves nothing", () => {
  const state = observeSession(plan, startCanaryState(plan), { isTreated: true, measured: usual() });
  expect(judgeCanary(plan, state, 27)).toBe("running");
  expect(judgeCanary(plan, state, 28)).toBe("undecided");
});

it("[EX55] after a violation nothing is counted any more", () => {
  let state = startCanaryState(plan);
  while (state.violated === null) state = observeSession(plan, state, { isTreated: true, measured: { slowSaves: 1 } });
  expect(observeSession(plan, state, { isTreated: true, measured: {} })).toBe(state);
  expect(judgeCanary(plan, state, 0)).toBe("stopped");
});

it("[EX11] [EX55] shares of sessions that are far from the meant ones stop it", () => {
  const live = planCanary({ share: 1, dollars: null, isLive: true, watchUnits: 0, maxDays: 28 });
  for (const one of [plan, live]) {
    let state = startCanaryState(one);
    for (let session = 0; session < 60; session++)
      state = observeSession(one, state, { isTreated: true, measured: {} });
    expect(state.violated).toBe("sampleRatio");
  }
});
