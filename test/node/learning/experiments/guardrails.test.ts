import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import {
  canary,
  judgeCanary,
  judgeWatch,
  nextReading,
  type CanaryUnit,
  type CanaryVerdict,
  type Measured,
} from "#src/learning/experiments/guardrails.ts";

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

it("a canary without harm is hardly ever stopped, and ends with its planned sessions", { timeout }, () => {
  const all = ends(usual, usual);
  expect(stopped(all)).toBeLessThanOrEqual(0.05);
  expect(all.every(({ verdict, sessions }) => typeof verdict === "object" || sessions === 200)).toBe(true);
  expect(all.at(0)).toEqual({ verdict: "better", sessions: 200 });
});

it(
  "gross harm is stopped before the canary ends: slow saves, deaths with unsaved work, failed calls",
  { timeout },
  () => {
    const slow = ends(usual, () => ({ ...usual(), slowSaves: 0.5 }));
    expect(stopped(slow)).toBe(1);
    expect(Math.max(...slow.map(({ sessions }) => sessions))).toBeLessThanOrEqual(40);
    expect(stopped(ends(usual, () => ({ ...usual(), unsavedDeath: event(0.6) })))).toBeGreaterThan(0.95);
    expect(stopped(ends(usual, () => ({ ...usual(), toolErrors: 0.2 + random() * 0.2 })))).toBe(1);
  },
);

it("a canary that has not had its sessions within its days proves nothing", () => {
  const units = [true, false].map((isTreated) => ({ isTreated, measured: usual() }));
  expect(judgeCanary(units, 27)).toBe("running");
  expect(judgeCanary(units, 28)).toBe("undecided");
});

function units(treated: number, all: number): CanaryUnit[] {
  return Array.from({ length: all }, (_, index) => ({ isTreated: index < treated, measured: {} }));
}

it("shares of the arms that are far from halves stop it; at its end they are looked at more closely", () => {
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

it.each(machines)("a value without harm is kept where $what, as before", { timeout }, (machine) => {
  expect(stopped(ends(machine.one, machine.one))).toBeLessThanOrEqual(0.05);
  expect(watchStops(machine, machine.one)).toBeLessThanOrEqual(0.05);
});

it.each(machines)("gross harm is found where $what", { timeout }, (machine) => {
  expect(stopped(ends(machine.one, machine.harmed))).toBeGreaterThan(0.9);
  expect(watchStops(machine, machine.harmed)).toBeGreaterThan(0.9);
});
