import type { Sample } from "../contract/metrics.ts";

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
