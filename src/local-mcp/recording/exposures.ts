import { chooseArm, defineExperiment } from "../../experiments/assignment/experiment.ts";
import { toUnit } from "../../experiments/assignment/names.ts";
import type { Sql } from "../../shared/sql.ts";

interface Trial {
  readonly experiment: string;
  readonly share: number;
  readonly salt: string;
}

/** [EX53] Gives a session that begins its arm in each running experiment, once. */
export function expose(sql: Sql, now: number, sessionId: string): void {
  const trials = sql.all<Trial>("SELECT experiment, share, salt FROM trial_values WHERE scope = 'treatment'");
  for (const trial of trials) {
    const arm = armOf(trial, sessionId);
    if (arm === null) continue;
    sql.run(
      "INSERT INTO exposures (experiment, unit, arm, at) VALUES (?, ?, ?, ?) ON CONFLICT (experiment, unit) DO NOTHING",
      trial.experiment,
      sessionId,
      arm,
      now,
    );
  }
}

/** Returns null for a session that is not in the experiment. */
function armOf({ experiment, salt, share }: Trial, sessionId: string): string | null {
  const arms = [
    { name: "control", weight: 1 },
    { name: "treatment", weight: 1 },
  ];
  return chooseArm(defineExperiment({ name: experiment, salt, share, arms }), toUnit(salt, sessionId));
}

/** The row stays, without the id: the experiment has counted the session, or will. */
export function forgetUnit(sql: Sql, sessionId: string): void {
  sql.run("UPDATE exposures SET unit = 'forgotten ' || seq WHERE unit = ?", sessionId);
}
