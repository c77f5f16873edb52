import * as meta from "../coordination/kernel/meta.ts";
import { isWithin } from "../shared/elapsed.ts";
import { stackOf } from "../shared/error.ts";
import { ok } from "../shared/result.ts";
import { logProblem } from "./log-problem.ts";
import type { Operations } from "./operations.ts";
import type { EngineHost } from "../coordination/engine-host.ts";
import type { Sample } from "../contract/metrics.ts";

const everyMs = 600_000;
const writtenKey = "history_written_at";

/** [OB16] Samples of a workspace over time, also without a scrape. */
export class MetricsHistory {
  readonly #engine: EngineHost;
  readonly #operations: Operations;
  readonly #workspace: string;
  #writtenAt: number | null = null;

  constructor(engine: EngineHost, operations: Operations, workspace: string) {
    this.#engine = engine;
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
    const { now, sql } = this.#engine.tx();
    this.#writtenAt ??= Number(meta.read(sql, writtenKey) ?? 0);
    if (isWithin(now - this.#writtenAt, everyMs)) return;
    const sampled = this.#operations.sampleMetrics();
    if (!sampled.ok) return;
    // Stored, since the object may be evicted between two alarms.
    this.#engine.run((tx) => ok(meta.write(tx.sql, writtenKey, String(now))));
    this.#writtenAt = now;
    writeDataPoints(dataset, this.#workspace, sampled.value.samples);
  }
}

/** Values in a data point of Analytics Engine (its limits page, 2026-11). */
const maxValues = 20;

/** [OB6] Writes samples for later queries, where a dataset is bound. */
export function writeDataPoints(
  dataset: AnalyticsEngineDataset | undefined,
  workspace: string,
  samples: readonly Sample[],
): void {
  if (!dataset) return;
  for (let first = 0; first < samples.length; first += maxValues) {
    const part = samples.slice(first, first + maxValues);
    dataset.writeDataPoint({
      indexes: [workspace],
      blobs: part.map(seriesName),
      doubles: part.map(({ value }) => value),
    });
  }
}

function seriesName({ name, labels }: Sample): string {
  const all = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return all.length === 0 ? name : `${name}{${all.join(",")}}`;
}
