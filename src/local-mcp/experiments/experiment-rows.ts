import { trialOf, type Experiment, type ExperimentState } from "../../experiments/engine/experiment.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { experiments, trialValues } from "../../store/recording-tables.ts";
import * as meta from "../../store/meta.ts";

/** Each function is part of the caller's transaction. */

export interface StoredExperiment {
  readonly revision: number;
  readonly experiment: Experiment;
}

const stored = experiments.pick("revision", "body");

export function get(sql: Sql, id: string): StoredExperiment | null {
  const row = stored.find(sql, { id });
  return row && fromRow(row);
}

/** Newest first. */
export function list(sql: Sql, limit = 200): StoredExperiment[] {
  return stored.select(sql, "ORDER BY at DESC, id LIMIT ?", limit).map(fromRow);
}

export function countByState(sql: Sql): ReadonlyMap<ExperimentState, number> {
  const rows = sql.all<{ state: ExperimentState; n: number }>(
    "SELECT state, count(*) AS n FROM experiments GROUP BY state",
  );
  return new Map(rows.map(({ state, n }) => [state, n]));
}

/**
 * Writes the experiment and the values that it puts in force, together. [EX54]
 *
 * @param revision as read; null for a new one
 * @returns false when another process has changed it since: nothing was written
 */
export function save(sql: Sql, experiment: Experiment, revision: number | null): boolean {
  const { id, key, state, steps } = experiment;
  const body = experiment;
  const written =
    revision === null
      ? experiments.insert(
          sql,
          { id, key, state, revision: 1, at: steps[0]?.at ?? 0, body },
          "ON CONFLICT (id) DO NOTHING",
        )
      : experiments.update(sql, { id, revision }, { state, revision: revision + 1, body });
  if (written > 0) writeTrial(sql, experiment);
  return written > 0;
}

function writeTrial(sql: Sql, experiment: Experiment): void {
  const { id, key, salt, plan } = experiment;
  trialValues.delete(sql, { experiment: id });
  const trial = trialOf(experiment);
  if (trial === null) return;
  const { value, scope } = trial;
  trialValues.insert(sql, { experiment: id, key, value, scope, share: plan?.share ?? 1, salt });
}

const switchKey = "experiments_off_since";

/** [EX56] Epoch ms of the kill switch; null: it is not on. */
export function offSince(sql: Sql): number | null {
  const value = meta.read(sql, switchKey);
  return value === null || value === "" ? null : Number(value);
}

export function setOff(sql: Sql, since: number | null): void {
  meta.write(sql, switchKey, since === null ? "" : String(since));
}

function fromRow({ revision, body }: RowOf<typeof stored>): StoredExperiment {
  // save() wrote the row.
  return { revision, experiment: body as Experiment };
}
