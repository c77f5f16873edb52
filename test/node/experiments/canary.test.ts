import { expect, it } from "vitest";
import {
  atEnd,
  judgeCanary,
  observeSession,
  pastOf,
  planCanary,
  planWatch,
  startCanaryState,
  type CanaryVerdict,
  type Measured,
} from "#src/experiments/engine/canary.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

const plan = planCanary({
  share: 0.5,
  past: { dollars: { n: 100, mean: 1 } },
  isLive: false,
  watchUnits: 200,
  maxDays: 28,
});
const random = seededRandom(3);
const runs = 60;

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
  for (let session = 0; state.violated === null; session++)
    state = observeSession(plan, state, { isTreated: session % 2 === 1, measured: { slowSaves: session % 2 } });
  expect(observeSession(plan, state, { isTreated: true, measured: {} })).toBe(state);
  expect(judgeCanary(plan, state, 0)).toBe("stopped");
});

it("[EX11] [EX55] shares of sessions that are far from the meant ones stop it", () => {
  const live = planCanary({ share: 1, past: {}, isLive: true, watchUnits: 0, maxDays: 28 });
  for (const one of [plan, live]) {
    let state = startCanaryState(one);
    for (let session = 0; session < 60; session++)
      state = observeSession(one, state, { isTreated: true, measured: {} });
    expect(state.violated).toBe("sampleRatio");
  }
});

/** Share of slow ones among the saves of a session. */
function slowShare(rate: number, saves: number): number {
  return Array.from({ length: saves }, () => event(rate)).reduce((total, one) => total + one, 0) / saves;
}

function repeated(one: () => Measured, count: number): Measured[] {
  return Array.from({ length: count }, one);
}

interface Machine {
  readonly what: string;
  readonly one: () => Measured;
  readonly harmed: () => Measured;
}

const machines: readonly Machine[] = [
  ...[0.005, 0.05, 0.2, 0.5].flatMap((rate) =>
    [1, 20].map((saves) => ({
      what: `${rate} of its saves slow, ${saves} of them a session`,
      one: () => ({ slowSaves: slowShare(rate, saves), slowRecoveries: slowShare(rate, saves) }),
      harmed: () => ({ slowSaves: slowShare(Math.min(1, rate + 0.5), saves) }),
    })),
  ),
  ...[0.1, 0.3, 0.5].map((rate) => ({
    what: `${rate} of its sessions die with unsaved work`,
    one: () => ({ unsavedDeath: event(rate) }),
    harmed: () => ({ unsavedDeath: event(rate + 0.5) }),
  })),
  {
    what: "briefs that score 0.5, and 0.5 of its calls failed",
    one: () => ({ restoreScore: event(0.5), toolErrors: random() }),
    harmed: () => ({ restoreScore: 0, toolErrors: 1 }),
  },
];

/** Session of the stop, for each run; null where none came within the planned ones. */
function canaryStops({ one }: Machine, treated: () => Measured): (number | null)[] {
  return Array.from({ length: runs }, () => {
    const planned = planCanary({
      share: 1,
      past: pastOf(repeated(one, 300)),
      isLive: false,
      watchUnits: 200,
      maxDays: 28,
    });
    let state = startCanaryState(planned);
    for (let session = 1; session <= planned.units; session++) {
      const isTreated = random() < 0.5;
      state = observeSession(planned, state, { isTreated, measured: isTreated ? treated() : one() });
      if (state.violated !== null) return session;
    }
    return null;
  });
}

function watchStops({ one }: Machine, treated: () => Measured): (number | null)[] {
  return Array.from({ length: runs }, () => {
    const planned = planWatch(pastOf(repeated(one, 300)));
    let state = startCanaryState(planned);
    for (let session = 1; session <= 200; session++) {
      state = observeSession(planned, state, { isTreated: true, measured: treated() });
      if (state.violated !== null) return session;
    }
    return null;
  });
}

function shareOf(stops: readonly (number | null)[]): number {
  return stops.filter((one) => one !== null).length / stops.length;
}

it.each(machines)("[EX172] a value without harm is kept where $what, as before", (machine) => {
  expect(shareOf(canaryStops(machine, machine.one))).toBeLessThanOrEqual(0.05);
  expect(shareOf(watchStops(machine, machine.one))).toBeLessThanOrEqual(0.05);
});

it.each(machines)("[EX172] gross harm is found where $what", (machine) => {
  expect(shareOf(canaryStops(machine, machine.harmed))).toBeGreaterThan(0.9);
  expect(shareOf(watchStops(machine, machine.harmed))).toBeGreaterThan(0.9);
});

it("[EX173] a canary of 200 that ends looks at the shares of its arms once more, exactly", () => {
  const ended = (treated: number) => atEnd(plan, { ...startCanaryState(plan), counts: [200 - treated, treated] }, 0);
  for (const treated of [100, 118, 82]) expect(judgeCanary(plan, ended(treated), 0)).toBe("better");
  for (const treated of [119, 81]) expect(ended(treated).violated).toBe("sampleRatio");
  const early = { ...startCanaryState(plan), counts: [40, 70] as const };
  expect(atEnd(plan, early, 0)).toBe(early);
});
