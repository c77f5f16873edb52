import { definitionOf, type MetricName } from "../contract/metrics.ts";
import type { Sql } from "../shared/sql.ts";

/** Running totals of counters and histograms: they outlive the rows that they count. */

/** Bucket above the last bound. */
export const aboveAll = "+Inf";

export interface TotalRow {
  readonly name: string;
  /** JSON list of the values of the labels, in the order of their declaration. */
  readonly labels: string;
  /** Upper bound of a histogram's bucket; "" for a counter; "+Inf" above the last bound. */
  readonly bucket: string;
  readonly value: number;
  /** Sum of the observed values of a bucket. */
  readonly sum: number;
}

export interface Increase {
  readonly value?: number;
  readonly labels?: readonly string[];
  readonly bucket?: string;
  readonly sum?: number;
}

/** Part of the caller's transaction. */
export function add(sql: Sql, name: MetricName, { value = 1, labels = [], bucket = "", sum = 0 }: Increase = {}): void {
  if (value === 0) return;
  sql.run(
    `INSERT INTO metric_totals (name, labels, bucket, value, sum) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (name, labels, bucket) DO UPDATE SET value = value + excluded.value, sum = sum + excluded.sum`,
    name,
    JSON.stringify(labels),
    bucket,
    value,
    sum,
  );
}

/** Adds one observation to a histogram. @param value in the unit of the metric */
export function observe(sql: Sql, name: MetricName, value: number, labels: readonly string[] = []): void {
  add(sql, name, { labels, bucket: bucketOf(name, value), sum: value });
}

/** Names the bucket by its upper bound, which it includes. */
export function bucketOf(name: MetricName, value: number): string {
  const bound = definitionOf(name).buckets?.find((one) => value <= one);
  return bound === undefined ? aboveAll : String(bound);
}

export function list(sql: Sql): TotalRow[] {
  return sql.all<TotalRow>("SELECT name, labels, bucket, value, sum FROM metric_totals ORDER BY name, labels, bucket");
}
