import { expect, it } from "vitest";
import { anAssignment, experiment } from "#harness/experiments/assignment-rig.ts";
import { chooseArm } from "#src/experiments/assignment/experiment.ts";
import { type Name, toName, toUnit, type Unit } from "#src/experiments/assignment/names.ts";
import type { Assigner } from "#src/experiments/assignment/port.ts";

const [control, short] = experiment.arms.map(({ name }) => name) as [Name, Name];
const loss = toName("loss");
const unit = unitIn(short);

/** A unit that the local assignment gives that arm. */
function unitIn(arm: Name): Unit {
  for (let n = 0; ; n++) {
    const one = toUnit("salt", `session-${n}`);
    if (chooseArm(experiment, one) === arm) return one;
  }
}

async function failing(): Promise<never> {
  throw new Error("no service");
}

function hanging(): Promise<never> {
  return new Promise(() => {});
}

it("[EX22] an exposure is written once per unit and experiment, with the first arm", async () => {
  const { port, exposures, assigner } = anAssignment();
  const assignment = await port.assign(experiment, unit);
  expect(assignment).toEqual({ experiment: experiment.name, unit, arm: short, reason: "assigned" });
  await Promise.all([port.expose(assignment), port.expose(assignment)]);
  await port.expose({ ...assignment, arm: control });
  expect(exposures).toEqual([{ experiment: experiment.name, unit, arm: short }]);
  expect(assigner.expose).toHaveBeenCalledOnce();
});

it("[EX22] a unit that is not in the experiment has control and is not exposed", async () => {
  const { port, exposures, calls } = anAssignment({ choose: async () => null });
  const assignment = await port.assign(experiment, unit);
  expect(assignment).toMatchObject({ arm: control, reason: "excluded" });
  await port.expose(assignment);
  expect([exposures, calls()]).toEqual([[], 1]);
});

it("[EX24] with all off every unit has control and no adapter is asked", async () => {
  const { port, exposures, outcomes, calls } = anAssignment();
  const before = await port.assign(experiment, unit);
  const asked = calls();
  port.override("*", "off");
  port.override(experiment.name, short);
  expect(await port.assign(experiment, unit)).toMatchObject({ arm: control, reason: "off" });
  await port.expose(await port.assign(experiment, unit));
  expect(exposures).toEqual([]);
  // What happened before stays a fact of the store.
  await port.expose(before);
  await port.record({ experiment: experiment.name, unit, metric: loss, value: 1 });
  await port.flush();
  expect([exposures.length, outcomes.length, calls()]).toEqual([1, 1, asked]);
  port.override("*", null);
  expect(await port.assign(experiment, unit)).toMatchObject({ arm: short, reason: "overridden" });
});

it("[EX24] an assignment that waits for its adapter is off as soon as all are", async () => {
  const answered = Promise.withResolvers<Name | null>();
  const { port, runOut } = anAssignment({ choose: () => answered.promise });
  const waiting = port.assign(experiment, unit);
  port.override("*", "off");
  answered.resolve(short);
  expect(await waiting).toMatchObject({ arm: control, reason: "off" });
  const hung = anAssignment({ choose: hanging });
  const second = hung.port.assign(experiment, unit);
  hung.port.override("*", "off");
  hung.runOut();
  runOut();
  expect(await second).toMatchObject({ arm: control, reason: "off" });
});

it.each<[string, Assigner["choose"], string]>([
  ["rejects", failing, "assign: no service"],
  [
    "throws",
    () => {
      throw new Error("no service");
    },
    "assign: no service",
  ],
])("[EX25] an adapter that %s gives control, and its unit is not exposed", async (_, choose, problem) => {
  const { port, exposures, problems, timers } = anAssignment({ choose });
  const assignment = await port.assign(experiment, unit);
  expect(assignment).toMatchObject({ arm: control, reason: "failed" });
  await port.expose(assignment);
  expect([exposures, problems, timers.size]).toEqual([[], [problem], 0]);
});

it("[EX25] an adapter that hangs gives control after the bounded wait, and its later answer nothing", async () => {
  const answered = Promise.withResolvers<Name | null>();
  const { port, problems, runOut, timers } = anAssignment({ choose: () => answered.promise });
  const waiting = port.assign(experiment, unit);
  runOut();
  expect(await waiting).toMatchObject({ arm: control, reason: "late" });
  answered.reject(new Error("too late"));
  await Promise.resolve();
  expect([problems[0], timers.size]).toEqual(["assign: no answer within 50 ms", 0]);
});

it("[EX25] an arm that is none of the experiment is control", async () => {
  const { port } = anAssignment({ choose: async () => toName("longer") });
  expect(await port.assign(experiment, unit)).toMatchObject({ arm: control, reason: "excluded" });
});

it("[EX25] what the adapter cannot send is kept in the store and reported", async () => {
  const { port, exposures, outcomes, problems, runOut } = anAssignment({
    expose: failing,
    record: failing,
    flush: hanging,
  });
  await port.expose(await port.assign(experiment, unit));
  await port.record({ experiment: experiment.name, unit, metric: loss, value: 2 });
  const flushed = port.flush();
  runOut();
  await flushed;
  expect([exposures.length, outcomes]).toEqual([1, [{ experiment: experiment.name, unit, metric: loss, value: 2 }]]);
  expect(problems).toEqual(["expose: no service", "record: no service", "flush: no answer within 50 ms"]);
});

it("[EX25] an outcome that is no finite number is refused", async () => {
  const { port, outcomes } = anAssignment();
  const at = (value: number) => port.record({ experiment: experiment.name, unit, metric: loss, value });
  await expect(at(NaN)).rejects.toThrow("The outcome loss is no finite number.");
  await expect(at(Infinity)).rejects.toThrow("no finite number");
  expect(outcomes).toEqual([]);
});

it("[EX29] an override gives every unit its arm without exposure, until it ends", async () => {
  const { port, exposures, calls } = anAssignment();
  port.override(experiment.name, control);
  const forced = await port.assign(experiment, unit);
  expect(forced).toMatchObject({ arm: control, reason: "overridden" });
  await port.expose(forced);
  port.override(experiment.name, "off");
  expect(await port.assign(experiment, unit)).toMatchObject({ arm: control, reason: "off" });
  await port.record({ experiment: experiment.name, unit, metric: loss, value: 1 });
  expect([exposures, calls()]).toEqual([[], 0]);
  port.override(experiment.name, null);
  expect(await port.assign(experiment, unit)).toMatchObject({ arm: short, reason: "assigned" });
});

it("[EX23] an adapter is given hashed ids, names and numbers only", async () => {
  const { port, assigner } = anAssignment();
  await port.expose(await port.assign(experiment, toUnit("salt", "ses_0192 fix the login, please")));
  await port.record({ experiment: experiment.name, unit, metric: loss, value: 0.5 });
  await port.flush();
  const { choose, expose, record, flush } = assigner;
  const texts: string[] = [];
  JSON.stringify([choose.mock.calls, expose.mock.calls, record.mock.calls, flush.mock.calls], (_, value: unknown) => {
    if (typeof value === "string") texts.push(value);
    return value;
  });
  expect(texts.length).toBeGreaterThan(5);
  for (const text of texts) expect(text).toMatch(/^(?:brief-length|salt-1|control|short|loss|[0-9a-f]{32})$/);
});

it("[EX23] no text passes for a name or a unit", () => {
  const { port } = anAssignment();
  const calls = [
    // @ts-expect-error -- a text is no unit
    () => port.assign(experiment, "fix the login, please"),
    // @ts-expect-error -- a text is no name
    () => port.record({ experiment: "fix it", unit, metric: loss, value: 1 }),
    // @ts-expect-error -- a text is no outcome
    () => port.record({ experiment: experiment.name, unit, metric: loss, value: "fix it" }),
  ];
  expect(calls).toHaveLength(3);
});
