import * as meta from "../coordination/kernel/meta.ts";
import { isWithin } from "../shared/elapsed.ts";
import { stackOf } from "../shared/error.ts";
import { ok } from "../shared/result.ts";
import { writeDataPoints } from "./data-points.ts";
import { logProblem } from "./log-problem.ts";
import type { Operations } from "./operations.ts";
import type { Transactions } from "./transactions.ts";

const everyMs = 600_000;
const writtenKey = "history_written_at";

/** [OB16] Samples of a workspace over time, also without a scrape. */
export class MetricsHistory {
  readonly #transactions: Transactions;
  readonly #operations: Operations;
  readonly #workspace: string;
  #writtenAt: number | null = null;

  constructor(transactions: Transactions, operations: Operations, workspace: string) {
    this.#transactions = transactions;
    this.#operations = operations;
    this.#workspace = workspace;
  }

  /**
   * Call at events that happen anyway; the object is not woken for it. A failure is logged only.
   * @param dataset undefined: none is bound
   */
  record(dataset: AnalyticsEngineDataset | undefined): void {
    if (!dataset) return;
    try {
      this.#record(dataset);
    } catch (error) {
      logProblem("no data points were written", { error: stackOf(error) });
    }
  }

  #record(dataset: AnalyticsEngineDataset): void {
    const { now, sql } = this.#transactions.tx();
    this.#writtenAt ??= Number(meta.read(sql, writtenKey) ?? 0);
    if (isWithin(now - this.#writtenAt, everyMs)) return;
    const sampled = this.#operations.sampleMetrics();
    if (!sampled.ok) return;
    // Stored, since the object may be evicted between two alarms.
    this.#transactions.run((tx) => ok(meta.write(tx.sql, writtenKey, String(now))));
    this.#writtenAt = now;
    writeDataPoints(dataset, this.#workspace, sampled.value.samples);
  }
}
