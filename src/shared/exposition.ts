import Registry from "prom-client/lib/registry.js";
import { definitionOf, metrics, other, type Labels, type MetricName, type Sample } from "../contract/metrics.ts";

export const contentType = "text/plain; version=0.0.4; charset=utf-8";

interface Value {
  readonly labels: Labels;
  readonly value: number;
  readonly metricName?: string;
}

/**
 * Formats samples as Prometheus text (exposition format 0.0.4). Values of labels that are not
 * declared become `other`; values of the same labels are added up.
 */
export async function toExposition(samples: readonly Sample[]): Promise<string> {
  const registry = new Registry();
  for (const name of Object.keys(metrics) as MetricName[]) {
    const { type, help } = definitionOf(name);
    const own = samples.filter((sample) => sample.name === name);
    const values = type === "histogram" ? histogramValues(name, own) : plainValues(name, own);
    if (values.length > 0) registry.registerMetric({ name, get: () => ({ name, help, type, values }) });
  }
  return registry.metrics();
}

function plainValues(name: MetricName, samples: readonly Sample[]): Value[] {
  return [...groupByLabels(name, samples)].map(([key, group]) => ({ labels: parseKey(key), value: total(group) }));
}

/** Each bucket counts what is not above its bound. */
function histogramValues(name: MetricName, samples: readonly Sample[]): Value[] {
  return [...groupByLabels(name, samples)].flatMap(([key, group]) => {
    const labels = parseKey(key);
    const bounds = [...(definitionOf(name).buckets ?? []), Number.POSITIVE_INFINITY];
    const values = bounds.map((bound): Value => {
      const value = total(group.filter(({ bucket }) => (bucket ?? Number.POSITIVE_INFINITY) <= bound));
      const le = bound === Number.POSITIVE_INFINITY ? "+Inf" : String(bound);
      return { metricName: `${name}_bucket`, labels: { ...labels, le }, value };
    });
    const sum = group.reduce((all, one) => all + (one.sum ?? 0), 0);
    values.push({ metricName: `${name}_sum`, labels, value: sum });
    values.push({ metricName: `${name}_count`, labels, value: total(group) });
    return values;
  });
}

function total(samples: readonly Sample[]): number {
  return samples.reduce((sum, { value }) => sum + value, 0);
}

function groupByLabels(name: MetricName, samples: readonly Sample[]): Map<string, Sample[]> {
  const groups = new Map(zeroKeys(name, samples.length > 0).map((key) => [key, [] as Sample[]]));
  for (const sample of samples) {
    const key = JSON.stringify(declaredLabels(name, sample.labels));
    const group = groups.get(key);
    if (group) group.push(sample);
    else groups.set(key, [sample]);
  }
  return groups;
}

/** A count shows all values of its labels: a rate needs the 0 before the first event. */
function zeroKeys(name: MetricName, isMeasured: boolean): string[] {
  const { labels, type, unit } = definitionOf(name);
  const isCount = type === "counter" || (type === "gauge" && unit === null);
  if (!isMeasured || !isCount || Object.keys(labels).length === 0) return [];
  let all: Labels[] = [{}];
  for (const [label, values] of Object.entries(labels))
    all = all.flatMap((one) => values.map((value) => Object.assign({ [label]: value }, one)));
  return all.map((one) => JSON.stringify(declaredLabels(name, one)));
}

function declaredLabels(name: MetricName, given: Labels): Labels {
  const { labels } = definitionOf(name);
  return Object.fromEntries(
    Object.entries(labels).map(([label, values]) => {
      const value = given[label] ?? other;
      return [label, values.includes(value) ? value : other];
    }),
  );
}

function parseKey(key: string): Labels {
  return JSON.parse(key) as Labels;
}
