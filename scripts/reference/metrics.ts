// The page metrics.md of the reference, from the table of metrics.
import { definitionOf, metrics, other, type MetricDefinition, type MetricName } from "../../src/contract/metrics.ts";

function row(name: MetricName): string {
  const { type, help, buckets } = definitionOf(name);
  const bounds = buckets ? ` Buckets: ${buckets.join(", ")}.` : "";
  return `| \`${name}\` | ${type} | ${labelsOf(definitionOf(name))} | ${help}${bounds} |`;
}

function labelsOf({ labels }: MetricDefinition): string {
  const all = Object.entries(labels).map(
    ([label, values]) => `\`${label}\`: ${values.map((value) => `\`${value}\``).join(", ")}`,
  );
  return all.join("; ");
}

function section(source: MetricDefinition["source"]): string {
  const names = (Object.keys(metrics) as MetricName[]).filter((name) => definitionOf(name).source === source);
  const groups = [...new Set(names.map((name) => definitionOf(name).group))];
  return groups
    .map((group) => {
      const rows = names.filter((name) => definitionOf(name).group === group).map(row);
      return [`### ${group}`, "", "| metric | type | labels | meaning |", "| --- | --- | --- | --- |", ...rows].join(
        "\n",
      );
    })
    .join("\n\n");
}

export function metricsDocs(): string {
  return `# Metrics

Made from the table in \`src/contract/metrics.ts\` by \`npm run docs\`. How to scrape them: [metrics](../guide/metrics.md).

The end of a name says the unit: seconds, bytes, dollars, or a ratio (a share, 1 is all). A label has the values listed here, or \`${other}\` for any other value. Counters and histograms never fall, so \`rate()\` and \`increase()\` apply to them.

## Of a machine

From \`shim doctor metrics\`.

${section("machine")}

## Of a workspace

From \`GET /v1/workspaces/:workspace/metrics\` of an edge; where a machine has its own coordinator, from its \`shim doctor metrics\`. Its connections and its storage are measured on an edge only.

${section("workspace")}
`;
}
