import { vi } from "vitest";
import { Assignments } from "#src/experiments/assignment/assignments.ts";
import { chooseArm, defineExperiment } from "#src/experiments/assignment/experiment.ts";
import type { Assigner, AssignmentSink, Exposure, Outcome } from "#src/experiments/assignment/port.ts";

export const experiment = defineExperiment({
  name: "brief-length",
  salt: "salt-1",
  share: 1,
  arms: [
    { name: "control", weight: 1 },
    { name: "short", weight: 1 },
  ],
});

/** The port on a store in memory, with a timer that only the test runs out. */
export function anAssignment(assigner: Partial<Assigner> = {}) {
  const exposures: Exposure[] = [];
  const outcomes: Outcome[] = [];
  const problems: string[] = [];
  const timers = new Set<() => void>();
  const sink: AssignmentSink = {
    insertExposure: (exposure) => {
      if (exposures.some(({ experiment, unit }) => experiment === exposure.experiment && unit === exposure.unit)) {
        return false;
      }
      exposures.push(exposure);
      return true;
    },
    insertOutcome: (outcome) => void outcomes.push(outcome),
  };
  const spied = {
    choose: vi.fn(assigner.choose ?? (async (experiment, unit) => chooseArm(experiment, unit))),
    expose: vi.fn(assigner.expose ?? (async () => {})),
    record: vi.fn(assigner.record ?? (async () => {})),
    flush: vi.fn(assigner.flush ?? (async () => {})),
  };
  const port = new Assignments({
    assigner: spied,
    sink,
    setTimer: (work) => {
      timers.add(work);
      return () => void timers.delete(work);
    },
    waitMs: 50,
    onProblem: (problem) => void problems.push(problem),
  });
  const runOut = (): void => {
    for (const work of timers) work();
  };
  const calls = (): number => Object.values(spied).reduce((sum, { mock }) => sum + mock.calls.length, 0);
  return { port, exposures, outcomes, problems, timers, runOut, assigner: spied, calls };
}
