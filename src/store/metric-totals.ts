import { definitionOf, type MetricName } from "../contract/metrics.ts";
import type { Sql } from "../shared/sql.ts";
import type { RowOf } from "../shared/table.ts";
import { metricTotals } from "./machine-tables.ts";

/** Bucket above the last bound. */
export const aboveAll = "+Inf";

export type TotalRow = RowOf<typeof metricTotals>;

export interface Increase {
  readonly value?: number;
  readonly labels?: readonly string[];
  readonly bucket?: string;
  readonly sum?: number;
}

/** Part of the caller's transaction. */
export function add(sql: Sql, name: MetricName, increase: Increase = {}): void {
  addAll(sql, name, [increase]);
}

/** Adds to several values of a metric with one statement. */
export function addAll(sql: Sql, name: MetricName, increases: readonly Increase[]): void {
  const rows = increases.map(({ value = 1, labels = [], bucket = "", sum = 0 }) => {
    return { name, labels: JSON.stringify(labels), bucket, value, sum };
  });
  metricTotals.insertAll(
    sql,
    rows.filter(({ value }) => value !== 0),
    "ON CONFLICT (name, labels, bucket) DO UPDATE SET value = value + excluded.value, sum = sum + excluded.sum",
  );
}

/** Adds one observation to a histogram. @param value in the unit of the metric */
export function observe(sql: Sql, name: MetricName, value: number): void {
  add(sql, name, { bucket: bucketOf(name, value), sum: value });
}

/** Names the bucket by its upper bound, which it includes. */
export function bucketOf(name: MetricName, value: number): string {
  for (const bound of definitionOf(name).buckets ?? []) if (value <= bound) return String(bound);
  return aboveAll;
}

export function list(sql: Sql): TotalRow[] {
  return metricTotals.select(sql, "ORDER BY name, labels, bucket");
}
