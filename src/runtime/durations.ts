import type { MetricName } from "../contract/metrics.ts";
import type { Sql } from "../shared/sql.ts";
import * as totals from "../store/metric-totals.ts";

const minIntervalMs = 10_000;

interface Observation {
  readonly name: MetricName;
  readonly labels: readonly string[];
  readonly bucket: string;
  count: number;
  sum: number;
}

/**
 * Observations of this process for histograms, kept in memory and stored with a later transaction:
 * a killed process loses those of its last ten seconds.
 */
export class Durations {
  readonly #monotonicMs: () => number;
  #pending = new Map<string, Observation>();
  #storedAt = Number.NEGATIVE_INFINITY;

  /** @param monotonicMs since the start of the process, with fractions; never jumps */
  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Runs `work` and observes its duration, unless it throws or `counts` says no. */
  time<T>(
    name: MetricName,
    work: () => T,
    { labels = [], counts = () => true }: { labels?: readonly string[]; counts?: (result: T) => boolean } = {},
  ): T {
    const startedAt = this.#monotonicMs();
    const result = work();
    if (counts(result)) this.observe(name, (this.#monotonicMs() - startedAt) / 1_000, labels);
    return result;
  }

  /** Seconds since the start of the process. */
  sinceStart(): number {
    return this.#monotonicMs() / 1_000;
  }

  /** @param value in the unit of the metric */
  observe(name: MetricName, value: number, labels: readonly string[] = []): void {
    const bucket = totals.bucketOf(name, value);
    const key = JSON.stringify([name, labels, bucket]);
    const known = this.#pending.get(key);
    if (!known) this.#pending.set(key, { name, labels, bucket, count: 1, sum: value });
    else {
      known.count += 1;
      known.sum += value;
    }
  }

  get isDue(): boolean {
    return this.#pending.size > 0 && this.#monotonicMs() - this.#storedAt >= minIntervalMs;
  }

  /** Part of the caller's transaction. */
  store(sql: Sql): void {
    for (const { name, labels, bucket, count, sum } of this.#pending.values())
      totals.add(sql, name, { labels, bucket, value: count, sum });
    this.#pending = new Map();
    this.#storedAt = this.#monotonicMs();
  }
}
