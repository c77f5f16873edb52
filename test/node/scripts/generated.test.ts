import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { definitionOf, metrics, type MetricName } from "#src/contract/metrics.ts";
import { dashboards } from "../../../scripts/dashboards.ts";
import { endsPage, withEnds } from "../../../scripts/reference/ends.ts";
import { serverJson, type PackageFacts } from "../../../scripts/server-json.ts";

const root = join(import.meta.dirname, "..", "..", "..");

it("server.json is current, and a registry takes its name, its version and the length of its description", () => {
  const facts = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as PackageFacts;
  const stored = JSON.parse(readFileSync(join(root, "server.json"), "utf8")) as Record<string, unknown>;
  expect(stored, "node scripts/server-json.ts").toEqual(serverJson(facts));
  expect(stored).toMatchObject({ name: facts.mcpName, version: facts.version, packages: [{ version: facts.version }] });
  expect(stored["name"]).toMatch(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]{1,100}$/);
  expect(String(stored["description"]).length).toBeLessThanOrEqual(100);
  const withRepository = serverJson({ ...facts, repository: { type: "git", url: "git+https://example.com/shim.git" } });
  expect(withRepository["repository"]).toEqual({ url: "https://example.com/shim", source: "github" });
});

it("the guide to clients has the ends that the tests try in each terminal", () => {
  const page = readFileSync(join(root, "docs", endsPage), "utf8");
  expect(withEnds(page), "npm run docs").toBe(page);
});

it("the dashboards that Grafana's container reads are those of the table of metrics", () => {
  const folder = join(root, "ops/grafana/dashboards");
  const stored = readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), "utf8")]);
  expect(Object.fromEntries(stored), "npm run dashboards").toEqual(dashboards());
});

type Query = Readonly<Record<"expr" | "refId", string>>;
type Panel = Readonly<{ type: string; title: string; targets?: readonly Query[] }>;

const panelsOf = (text: string): Panel[] => (JSON.parse(text) as { panels: Panel[] }).panels;

const learning: ReadonlySet<string> = new Set(["Experiments", "Routing"]);

/** Dashboard that has to show a metric. */
function fileOf(name: MetricName): string {
  const { group, source } = definitionOf(name);
  if (learning.has(group)) return "experiments.json";
  return source === "machine" ? "machine.json" : "team.json";
}

it("each metric has one panel, in the dashboard of its group or source, and no panel shows anything else", () => {
  const shownNames: string[] = [];
  for (const [file, text] of Object.entries(dashboards())) {
    const panels = panelsOf(text).filter(({ type }) => type === "timeseries");
    const shown = panels.map(({ targets = [] }) =>
      [...new Set(targets.flatMap(({ expr }) => expr.match(/shim_\w+/g) ?? []))].join(" "),
    );
    const names = (Object.keys(metrics) as MetricName[]).filter((name) => fileOf(name) === file);
    shownNames.push(...names);
    const series = names.map((name) => (definitionOf(name).type === "histogram" ? `${name}_bucket` : name));
    expect(shown.toSorted()).toEqual(series.toSorted());
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  }
  expect(shownNames.toSorted()).toEqual(Object.keys(metrics).toSorted());
});

it("a histogram is shown by its quantiles, each query under an id of its own", () => {
  const panels = Object.values(dashboards()).flatMap(panelsOf);
  const hooks = panels.find(({ targets = [] }) => targets.some(({ expr }) => expr.includes("shim_hook_duration")));
  expect(hooks?.targets?.map(({ expr }) => /quantile\(([\d.]+)/.exec(expr)?.[1])).toEqual(["0.5", "0.95", "0.99"]);
  for (const { targets = [] } of panels) expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
});

const read = (path: string): unknown => parse(readFileSync(join(root, path), "utf8"));

type Alert = Record<"alert" | "expr", string> & Record<"labels" | "annotations", Readonly<Record<string, string>>>;
type RuleTest = { alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[] };

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
