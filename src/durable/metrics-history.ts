import * as meta from "../coordination/kernel/meta.ts";
import { isWithin } from "../shared/elapsed.ts";
import { ok } from "../shared/result.ts";
import { writeDataPoints } from "./data-points.ts";
import type { Operations } from "./operations.ts";
import type { Transactions } from "./transactions.ts";

interface MetricsHistoryOptions {
  /** Undefined: none is bound. */
  readonly dataset: () => AnalyticsEngineDataset | undefined;
  readonly workspace: string;
  readonly transactions: Transactions;
  readonly operations: Operations;
}

const everyMs = 600_000;
const writtenKey = "history_written_at";

/** [OB16] The samples of a workspace that nobody scrapes. */
export class MetricsHistory {
  readonly #options: MetricsHistoryOptions;
  #writtenAt: number | null = null;

  constructor(options: MetricsHistoryOptions) {
    this.#options = options;
  }

  /** Call at events that happen anyway; the object is not woken for it. */
  record(): void {
    const { dataset: find, workspace, transactions, operations } = this.#options;
    const dataset = find();
    if (!dataset) return;
    const { now, sql } = transactions.tx();
    this.#writtenAt ??= Number(meta.read(sql, writtenKey) ?? 0);
    if (isWithin(now - this.#writtenAt, everyMs)) return;
    const sampled = operations.sampleMetrics();
    if (!sampled.ok) return;
    // Stored, since the object may be evicted between two alarms.
    transactions.run((tx) => ok(meta.write(tx.sql, writtenKey, String(now))));
    this.#writtenAt = now;
    writeDataPoints(dataset, workspace, sampled.value.samples);
  }
}
