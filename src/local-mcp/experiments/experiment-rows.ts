import { trialOf, type Experiment, type ExperimentState } from "../../experiments/engine/experiment.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

/** Each function is part of the caller's transaction. */

export interface StoredExperiment {
  readonly revision: number;
  readonly experiment: Experiment;
}

interface ExperimentRow {
  readonly revision: number;
  readonly body: string;
}

export function get(sql: Sql, id: string): StoredExperiment | null {
  const [row] = sql.all<ExperimentRow>("SELECT revision, body FROM experiments WHERE id = ?", id);
  return row ? fromRow(row) : null;
}

/** Newest first. */
export function list(sql: Sql, limit = 200): StoredExperiment[] {
  return sql
    .all<ExperimentRow>("SELECT revision, body FROM experiments ORDER BY at DESC, id LIMIT ?", limit)
    .map(fromRow);
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
  const body = JSON.stringify(experiment);
  const written =
    revision === null
      ? sql.run(
          "INSERT INTO experiments (id, key, state, revision, at, body) VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT (id) DO NOTHING",
          id,
          key,
          state,
          steps[0]?.at ?? 0,
          body,
        )
      : sql.run(
          "UPDATE experiments SET state = ?, revision = revision + 1, body = ? WHERE id = ? AND revision = ?",
          state,
          body,
          id,
          revision,
        );
  if (written > 0) writeTrial(sql, experiment);
  return written > 0;
}

function writeTrial(sql: Sql, experiment: Experiment): void {
  sql.run("DELETE FROM trial_values WHERE experiment = ?", experiment.id);
  const trial = trialOf(experiment);
  if (trial === null) return;
  sql.run(
    "INSERT INTO trial_values (experiment, key, value, scope, share, salt) VALUES (?, ?, ?, ?, ?, ?)",
    experiment.id,
    experiment.key,
    trial.value,
    trial.scope,
    experiment.plan?.share ?? 1,
    experiment.salt,
  );
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

function fromRow({ revision, body }: ExperimentRow): StoredExperiment {
  // save() of this or an older program wrote the row.
  return { revision, experiment: JSON.parse(body) as Experiment };
}
