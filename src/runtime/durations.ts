import type { MetricName } from "../contract/metrics.ts";
import type { Sql } from "../shared/sql.ts";
import type { RowOf } from "../shared/table.ts";
import * as totals from "../store/metric-totals.ts";
import { sessionDurations } from "../store/session-tables.ts";
import type { Store } from "../store/store.ts";

/** Seconds above which an observation counts as slow for its session. */
const slowAbove = {
  shim_save_duration_seconds: 0.1,
  shim_recovery_duration_seconds: 0.5,
  shim_hook_duration_seconds: 0.1,
} as const;
type TimedName = keyof typeof slowAbove;

interface SessionTotal {
  readonly session: string;
  readonly name: TimedName;
  count: number;
  slow: number;
  sum: number;
}

interface TimeOptions<T> {
  readonly labels?: readonly string[];
  readonly counts?: (result: T) => boolean;
  /** Session that the work was for; undefined: not known. */
  readonly session?: (result: T) => string | undefined;
}

interface Observation {
  readonly name: MetricName;
  readonly labels: readonly string[];
  readonly bucket: string;
  count: number;
  sum: number;
}

/**
 * Observations of this process for histograms, kept in memory and stored by a timer: a killed
 * process loses those of its last ten seconds.
 */
export class Durations {
  readonly #monotonicMs: () => number;
  #pending = new Map<string, Observation>();
  #sessions = new Map<string, SessionTotal>();

  /** @param monotonicMs with fractions; never jumps */
  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Runs `work` and observes its duration, unless it throws or `counts` says no. */
  time<T>(name: TimedName, work: () => T, { labels = [], counts, session }: TimeOptions<T> = {}): T {
    const startedAt = this.#monotonicMs();
    const result = work();
    if (counts?.(result) === false) return result;
    const seconds = (this.#monotonicMs() - startedAt) / 1_000;
    this.observe(name, seconds, labels);
    this.#observeSession(session?.(result), name, seconds);
    return result;
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

  #observeSession(session: string | undefined, name: TimedName, seconds: number): void {
    if (session === undefined) return;
    const key = `${name} ${session}`;
    const total = this.#sessions.get(key) ?? { session, name, count: 0, slow: 0, sum: 0 };
    total.count += 1;
    total.slow += seconds > slowAbove[name] ? 1 : 0;
    total.sum += seconds;
    this.#sessions.set(key, total);
  }

  /** Observations that could not be stored stay. @throws {StoreError} */
  store(store: Store): void {
    if (this.#pending.size === 0) return;
    store.write((sql) => {
      for (const { name, labels, bucket, count, sum } of this.#pending.values())
        totals.add(sql, name, { labels, bucket, value: count, sum });
      for (const total of this.#sessions.values()) addSessionDuration(sql, total);
    });
    this.#pending = new Map();
    this.#sessions = new Map();
  }
}

export type SessionDuration = RowOf<typeof sessionDurations>;

/** Part of the caller's transaction. */
function addSessionDuration(sql: Sql, duration: SessionDuration): void {
  sessionDurations.insert(
    sql,
    duration,
    `ON CONFLICT (session, name) DO UPDATE SET count = count + excluded.count, slow = slow + excluded.slow,
       sum = sum + excluded.sum`,
  );
}

export function listSessionDurations(sql: Sql, session: string): SessionDuration[] {
  return sessionDurations.select(sql, "WHERE session = ? ORDER BY name", session);
}
