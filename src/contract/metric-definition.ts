export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  /** Base unit of the value, also in the name; null: a plain number. */
  readonly unit: "seconds" | "bytes" | "ratio" | "dollars" | null;
  /** Subject: one machine, or one workspace of a coordinator. */
  readonly source: "machine" | "workspace";
  /** Row of the dashboard. */
  readonly group: string;
  readonly help: string;
  /** All values of each label. Any other value counts as `other`: an id never becomes a label. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  /** Upper bounds of a histogram's buckets, in its unit, rising. */
  readonly buckets?: readonly number[];
}

/** The bounds 0.1 and 0.5 s are those of a save and of a recovery. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export const counter = { type: "counter", unit: null } as const;
export const gauge = { type: "gauge", unit: null } as const;
export const age = { type: "gauge", unit: "seconds" } as const;
export const share = { type: "gauge", unit: "ratio" } as const;
export const duration = { type: "histogram", unit: "seconds", buckets: durationBuckets } as const;
