import type { MetricName } from "../../contract/metrics.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Tx } from "./tx.ts";
import type { RowOf } from "../../shared/table.ts";
import { metricTotals } from "./kernel-tables.ts";

/** @param label value of the metric's label; "" for a metric without */
export function add({ sql }: Pick<Tx, "sql">, name: MetricName, label = "", value = 1): void {
  if (value === 0) return;
  const conflict = "ON CONFLICT (name, label) DO UPDATE SET value = value + excluded.value";
  metricTotals.insert(sql, { name, label, value }, conflict);
}

const labelled = metricTotals.pick("label", "value");

type Total = RowOf<typeof labelled>;

export function list(sql: Sql, name: MetricName): Total[] {
  return labelled.select(sql, "WHERE name = ?", name);
}

export function get(sql: Sql, name: MetricName, label = ""): number {
  return metricTotals.find(sql, { name, label })?.value ?? 0;
}
