import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { metrics } from "#src/contract/metrics.ts";

const root = join(import.meta.dirname, "..", "..", "..");

function read(path: string): unknown {
  return parse(readFileSync(join(root, path), "utf8"));
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface RuleTest {
  readonly name: string;
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
}

const { groups } = read("ops/prometheus/alerts.yml") as { groups: { rules: Alert[] }[] };
const alerts = groups.flatMap(({ rules }) => rules);

it("each alert has a severity, a summary, and a runbook with its name", () => {
  expect(alerts.length).toBeGreaterThanOrEqual(8);
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  for (const { alert, labels, annotations } of alerts) {
    expect([alert, ["critical", "warning", "info"].includes(labels["severity"] ?? "")]).toEqual([alert, true]);
    expect(annotations["summary"]?.length).toBeGreaterThan(10);
    const [page = "", anchor] = (annotations["runbook_url"] ?? "").split("#");
    expect(anchor).toBe(alert.toLowerCase());
    expect(readFileSync(join(root, page), "utf8")).toContain(`\n## ${alert}\n`);
  }
  const sections = readFileSync(join(root, "docs/guide/alerts.md"), "utf8").match(/^## .+$/gm) ?? [];
  expect(sections.map((line) => line.slice(3)).toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
});

it("each alert is tested to fire and to stay quiet", () => {
  const { tests } = read("ops/prometheus/alerts.test.yml") as { tests: RuleTest[] };
  for (const { alert } of alerts) {
    const own = tests.flatMap(({ alert_rule_test: all }) => all.filter(({ alertname }) => alertname === alert));
    expect([alert, own.map(({ exp_alerts: expected }) => expected.length)]).toEqual([alert, [0, 1]]);
  }
});

it("alerts read only metrics of the table", () => {
  for (const { alert, expr } of alerts) {
    const names = (expr.match(/shim_\w+/g) ?? []).map((name) => name.replace(/_(?:bucket|count|sum)$/, ""));
    expect([alert, names.filter((name) => !Object.hasOwn(metrics, name))]).toEqual([alert, []]);
  }
});
