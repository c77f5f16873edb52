import type { MetricName } from "../../contract/metrics.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Tx } from "./tx.ts";

/**
 * Counters that outlive the rows they count. Each increase writes a row, which is billed, so they
 * count what is rare; the usual path is derived from numbers and rows.
 */

/** Migration 11. */
export const metricTables: readonly string[] = [
  `CREATE TABLE metric_totals (
     name TEXT NOT NULL,
     label TEXT NOT NULL,
     value REAL NOT NULL,
     PRIMARY KEY (name, label)
   ) STRICT, WITHOUT ROWID`,
  `INSERT INTO metric_totals (name, label, value)
     SELECT 'shim_task_ends_total', state, count(*) FROM tasks WHERE state IN ('dead', 'cancelled') GROUP BY state
     UNION ALL SELECT 'shim_task_attempts_total', ended, count(*) FROM attempts WHERE ended <> 'done' GROUP BY ended`,
];

/** @param label value of the metric's label; "" for a metric without */
export function add({ sql }: Pick<Tx, "sql">, name: MetricName, label = "", value = 1): void {
  if (value === 0) return;
  sql.run(
    `INSERT INTO metric_totals (name, label, value) VALUES (?, ?, ?)
     ON CONFLICT (name, label) DO UPDATE SET value = value + excluded.value`,
    name,
    label,
    value,
  );
}

interface Total {
  readonly label: string;
  readonly value: number;
}

export function list(sql: Sql, name: MetricName): Total[] {
  return sql.all<Total>("SELECT label, value FROM metric_totals WHERE name = ?", name);
}

export function get(sql: Sql, name: MetricName, label = ""): number {
  const query = "SELECT value FROM metric_totals WHERE name = ? AND label = ?";
  return sql.all<{ value: number }>(query, name, label)[0]?.value ?? 0;
}
