import { chooseArm, defineExperiment, type Experiment } from "../../experiments/assignment/experiment.ts";
import { toUnit } from "../../experiments/assignment/names.ts";
import type { Sql } from "../../shared/sql.ts";
import { exposures } from "../../store/recording-tables.ts";

export interface Trial {
  readonly experiment: string;
  readonly key: string;
  readonly share: number;
  readonly salt: string;
  /** Assigns its sessions, from its start to its end: `local`, or a service. */
  readonly provider: string;
}

/** Arms of one session by experiment, as a service has answered. */
export interface ServiceArms {
  readonly session: string;
  readonly arms: Readonly<Record<string, string>>;
}

export function listTrials(sql: Sql): Trial[] {
  return sql.all<Trial>(
    `SELECT experiment, t.key AS key, share, salt, coalesce(json_extract(body, '$.provider'), 'local') AS provider
     FROM trial_values t LEFT JOIN experiments ON id = experiment WHERE scope = 'treatment'`,
  );
}

/** [EX53] [EX70] Gives a session that begins its arm in each running experiment, once. */
export function expose(sql: Sql, now: number, sessionId: string, answered: ServiceArms | null): void {
  for (const trial of listTrials(sql)) {
    const arm = trial.provider === "local" ? localArm(trial, sessionId) : answeredArm(trial, sessionId, answered);
    if (arm === null) continue;
    const exposure = { experiment: trial.experiment, unit: sessionId, arm, at: now };
    exposures.insert(sql, exposure, "ON CONFLICT (experiment, unit) DO NOTHING");
  }
}

/** Returns null for a session that is not in the experiment. */
function localArm({ experiment, salt, share }: Trial, sessionId: string): string | null {
  return chooseArm(toExperiment(experiment, salt, share), toUnit(salt, sessionId));
}

function answeredArm({ experiment }: Trial, sessionId: string, answered: ServiceArms | null): string | null {
  return answered?.session === sessionId ? (answered.arms[experiment] ?? null) : null;
}

export function toExperiment(name: string, salt: string, share: number): Experiment {
  const arms = [
    { name: "control", weight: 1 },
    { name: "treatment", weight: 1 },
  ];
  return defineExperiment({ name, salt, share, arms });
}

/** The row stays, without the id: the experiment has counted the session, or will. */
export function forgetUnit(sql: Sql, sessionId: string): void {
  sql.run("UPDATE exposures SET unit = 'forgotten ' || seq WHERE unit = ?", sessionId);
}
