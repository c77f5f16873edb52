import { metricsOfMachine, modelFamilies } from "./machine-metrics.ts";
import type { MetricDefinition } from "./metric-definition.ts";
import { metricsOfWorkspace } from "./workspace-metrics.ts";

export type { MetricDefinition } from "./metric-definition.ts";

export const other = "other";

/** The one declaration of all metrics: text, documentation, dashboards and alerts follow it. */
export const metrics = { ...metricsOfMachine, ...metricsOfWorkspace };

export type MetricName = keyof typeof metrics;

export type Labels = Readonly<Record<string, string>>;

/** One value. Of a histogram: the observations between two bounds, and the sum of their values. */
export interface Sample {
  readonly name: MetricName;
  readonly labels: Labels;
  readonly value: number;
  /** Upper bound of a histogram's bucket; null: above the last. */
  readonly bucket?: number | null | undefined;
  /** Sum of the values in the bucket. */
  readonly sum?: number | undefined;
}

export function definitionOf(name: MetricName): MetricDefinition {
  return metrics[name];
}

/** Pure. Family of a model, for a label: the names of models are not a closed set. */
export function modelFamily(model: string): string {
  return modelFamilies.find((family) => model.includes(family)) ?? other;
}
