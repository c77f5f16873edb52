export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  /** Base unit of the value, as the name says it; null: a plain number. */
  readonly unit: "seconds" | "bytes" | "ratio" | "dollars" | null;
  /** Subject: one machine, or one workspace of a coordinator. */
  readonly source: "machine" | "workspace";
  /** Row of the dashboard. */
  readonly group: string;
  readonly help: string;
  /** All values of each label. Any other value counts as `other`: an id never becomes a label. */
  readonly labels: LabelValues;
  /** Upper bounds of a histogram's buckets, in its unit, rising. */
  readonly buckets?: readonly number[];
}

type LabelValues = Readonly<Record<string, readonly string[]>>;

type Declared<Labels extends LabelValues = LabelValues> = Pick<MetricDefinition, "type" | "help" | "buckets"> & {
  readonly labels: Labels;
};

export function counter<const Labels extends LabelValues>(help: string, labels = {} as Labels): Declared<Labels> {
  return { type: "counter", help, labels };
}

export function gauge<const Labels extends LabelValues>(help: string, labels = {} as Labels): Declared<Labels> {
  return { type: "gauge", help, labels };
}

/** The bounds 0.1 and 0.5 s are those of a save and of a recovery. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function histogram(help: string, labels: LabelValues = {}, buckets = durationBuckets): Declared {
  return { type: "histogram", help, labels, buckets };
}

const units = ["seconds", "bytes", "ratio", "dollars"] as const;

/** Completes the declarations of a row of the dashboard. */
export function metricGroup<Metrics extends Readonly<Record<string, Declared>>>(
  source: MetricDefinition["source"],
  group: string,
  declared: Metrics,
): { readonly [Name in keyof Metrics]: Metrics[Name] & Omit<MetricDefinition, keyof Declared> } {
  const defined = Object.entries(declared).map(([name, metric]) => {
    const unit = units.find((one) => name.replace(/_total$/, "").endsWith(`_${one}`)) ?? null;
    return [name, { ...metric, unit, source, group }];
  });
  return Object.fromEntries(defined) as ReturnType<typeof metricGroup<Metrics>>;
}
