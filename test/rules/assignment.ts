import { chooseArm, defineExperiment } from "#src/experiments/assignment/experiment.ts";
import { toUnit } from "#src/experiments/assignment/names.ts";

/** The arms of the first 40 sessions in an experiment with a share of 3/4: `-` is not in it, else the arm's first letter. */
export const expectedArms = "lsllsslcclslc-cc-ccs-cc-cs-lllsssc--s-cc";

export function armsHere(): string {
  const arms = [
    { name: "control", weight: 2 },
    { name: "short", weight: 1 },
    { name: "long", weight: 1 },
  ];
  const experiment = defineExperiment({ name: "brief-length", salt: "2026", share: 0.75, arms });
  const units = Array.from({ length: 40 }, (_, n) => toUnit("größe", `session-${n}`));
  return units.map((unit) => chooseArm(experiment, unit)?.[0] ?? "-").join("");
}
