/** Types of prom-client 15: the registry alone, without the collectors that need Node. */
declare module "prom-client/lib/registry.js" {
  interface Value {
    readonly value: number;
    readonly labels: Readonly<Record<string, string>>;
    readonly metricName?: string;
  }

  interface Metric {
    readonly name: string;
    readonly get: () => {
      readonly name: string;
      readonly help: string;
      readonly type: string;
      readonly values: readonly Value[];
    };
  }

  export default class Registry {
    registerMetric(metric: Metric): void;
    metrics(): Promise<string>;
    readonly contentType: string;
  }
}
