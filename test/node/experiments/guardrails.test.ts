import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import {
  canary,
  findViolation,
  judgeCanary,
  judgeWatch,
  nextReading,
  type CanaryUnit,
  type CanaryVerdict,
  type Measured,
  type Silence,
  type WorkspaceCounts,
} from "#src/experiments/guardrails.ts";

/** 1,000 in `npm run stress -- experiments`. */
const runs = Number(process.env["SHIM_EXPERIMENT_RUNS"] ?? 200);
const random = seededRandom(Number(process.env["SHIM_EXPERIMENT_SEED"] ?? 3));
const timeout = 240_000 + runs * 1_000;

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

interface End {
  readonly verdict: Exclude<CanaryVerdict, "running">;
  readonly sessions: number;
}

/** Read as a machine does, until there is a verdict. */
function runCanary(one: () => Measured, treated: () => Measured): End {
  const units: CanaryUnit[] = [];
  for (let next = nextReading(0); ; next = nextReading(next)) {
    while (units.length < Math.min(next, canary.sessions)) {
      const isTreated = random() < 0.5;
      units.push({ isTreated, measured: isTreated ? treated() : one() });
    }
    const verdict = judgeCanary(units, 0);
    if (verdict !== "running") return { verdict, sessions: units.length };
  }
}

function ends(one: () => Measured, treated: () => Measured): End[] {
  return Array.from({ length: runs }, () => runCanary(one, treated));
}

/** Share of the canaries that a guardrail has stopped. */
function stopped(all: readonly End[]): number {
  return all.filter(({ verdict }) => typeof verdict === "object").length / all.length;
}

it(
  "[EX55] [EX172] a canary without harm is hardly ever stopped, and ends with its planned sessions",
  { timeout },
  () => {
    const all = ends(usual, usual);
    expect(stopped(all)).toBeLessThanOrEqual(0.05);
    expect(all.every(({ verdict, sessions }) => typeof verdict === "object" || sessions === 200)).toBe(true);
    expect(all.at(0)).toEqual({ verdict: "better", sessions: 200 });
  },
);

it(
  "[EX55] gross harm is stopped before the canary ends: slow saves, deaths with unsaved work, failed calls",
  { timeout },
  () => {
    const slow = ends(usual, () => ({ ...usual(), slowSaves: 0.5 }));
    expect(stopped(slow)).toBe(1);
    expect(Math.max(...slow.map(({ sessions }) => sessions))).toBeLessThanOrEqual(40);
    expect(stopped(ends(usual, () => ({ ...usual(), unsavedDeath: event(0.6) })))).toBeGreaterThan(0.95);
    expect(stopped(ends(usual, () => ({ ...usual(), toolErrors: 0.2 + random() * 0.2 })))).toBe(1);
  },
);

it("[EX55] a canary that has not had its sessions within its days proves nothing", () => {
  const units = [true, false].map((isTreated) => ({ isTreated, measured: usual() }));
  expect(judgeCanary(units, 27)).toBe("running");
  expect(judgeCanary(units, 28)).toBe("undecided");
});

function units(treated: number, all: number): CanaryUnit[] {
  return Array.from({ length: all }, (_, index) => ({ isTreated: index < treated, measured: {} }));
}

it("[EX173] shares of the arms that are far from halves stop it; at its end they are looked at more closely", () => {
  const violated = { violated: "sampleRatio" };
  for (const treated of [100, 118, 82]) expect(judgeCanary(units(treated, 200), 0)).toBe("better");
  for (const treated of [119, 81]) expect(judgeCanary(units(treated, 200), 0)).toEqual(violated);
  expect(judgeCanary(units(52, 80), 0)).toBe("running");
  expect(judgeCanary(units(40, 40), 0)).toEqual(violated);
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

/** Share of the weeks whose readings have found a harm, of a value that is watched. */
function watchStops({ one }: Machine, since: () => Measured): number {
  const stops = Array.from({ length: runs }, () => {
    const [before, after] = [repeated(one, 300), repeated(since, 200)].map((all) =>
      all.map((measured) => ({ measured })),
    ) as [{ measured: Measured }[], { measured: Measured }[]];
    for (let next = nextReading(0); next <= after.length; next = nextReading(next))
      if (judgeWatch(before, after.slice(0, next)) !== null) return true;
    return judgeWatch(before, after) !== null;
  });
  return stops.filter(Boolean).length / runs;
}

it.each(machines)("[EX172] a value without harm is kept where $what, as before", { timeout }, (machine) => {
  expect(stopped(ends(machine.one, machine.one))).toBeLessThanOrEqual(0.05);
  expect(watchStops(machine, machine.one)).toBeLessThanOrEqual(0.05);
});

it.each(machines)("[EX172] gross harm is found where $what", { timeout }, (machine) => {
  expect(stopped(ends(machine.one, machine.harmed))).toBeGreaterThan(0.9);
  expect(watchStops(machine, machine.harmed)).toBeGreaterThan(0.9);
});

const dayMs = 86_400_000;
const before = { ended: 400, dead: 8, attempts: 500, overdue: 10, silent: 7, silentMs: 7 * dayMs };
const calm = { silent: 1, silentMs: dayMs };

function after(more: Partial<WorkspaceCounts>, silence: Silence = calm) {
  const { ended, dead, attempts, overdue } = before;
  return findViolation(before, { ended, dead, attempts, overdue, isDaySpent: false, ...more }, silence)?.guardrail;
}

it("[EX94] each guardrail finds its harm, and what is usual is none", () => {
  expect(after({})).toBeUndefined();
  expect(after({ ended: 500, dead: 10, attempts: 625, overdue: 13 })).toBeUndefined();
  expect(after({ ended: 430, dead: 18 })).toBe("deadTasks");
  expect(after({ attempts: 530, overdue: 22 })).toBe("overdueAttempts");
  expect(after({}, { silent: 12, silentMs: dayMs })).toBe("silentChats");
  expect(after({}, { silent: 3, silentMs: dayMs })).toBeUndefined();
  expect(after({ isDaySpent: true })).toBe("dayBudget");
});

it("[EX94] without a history half is the limit, and counters that start again are read as new ones", () => {
  const none = { ended: 0, dead: 0, attempts: 0, overdue: 0, silent: 0, silentMs: 0 };
  const counts = { ended: 20, dead: 9, attempts: 20, overdue: 0, isDaySpent: false };
  expect(findViolation(none, counts, calm)).toBeNull();
  expect(findViolation(none, { ...counts, dead: 19 }, calm)?.guardrail).toBe("deadTasks");
  expect(after({ ended: 20, dead: 0, attempts: 20, overdue: 0 })).toBeUndefined();
  expect(after({ ended: 20, dead: 20, attempts: 20, overdue: 0 })).toBe("deadTasks");
});

it("[EX94] a harmless value is stopped in at most 2 % of trials that are read every day of a week", () => {
  let seed = 7;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const draw = (n: number, share: number): number =>
    Array.from({ length: n }, random).filter((one) => one < share).length;
  let stopped = 0;
  const trials = 400;
  for (let trial = 0; trial < trials; trial++) {
    const usual = {
      ended: 60,
      dead: draw(60, 0.05),
      attempts: 80,
      overdue: draw(80, 0.1),
      silent: draw(70, 0.1),
      silentMs: 7 * dayMs,
    };
    const total = { ended: usual.ended, dead: usual.dead, attempts: usual.attempts, overdue: usual.overdue };
    let silent = 0;
    for (let day = 1; day <= 7; day++) {
      total.ended += 20;
      total.attempts += 25;
      total.dead += draw(20, 0.05);
      total.overdue += draw(25, 0.1);
      silent += draw(10, 0.1);
      const found = findViolation(usual, { ...total, isDaySpent: false }, { silent, silentMs: day * dayMs });
      if (found === null) continue;
      stopped += 1;
      break;
    }
  }
  expect(stopped / trials).toBeLessThanOrEqual(0.02);
});
