/** `npm run dashboards`: writes ops/grafana/dashboards from the table of metrics. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  ReduceDataOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  DashboardBuilder,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  type Dashboard,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import { definitionOf, metrics, type MetricDefinition, type MetricName } from "../src/contract/metrics.ts";

const folder = join(import.meta.dirname, "..", "ops", "grafana", "dashboards");
const prometheus = { type: "prometheus", uid: "${datasource}" };
const selector = '{job=~"$job", instance=~"$instance"}';
/** Most of what is counted is rare: over minutes its rate would be noise. */
const range = "1h";

interface DashboardPlan {
  readonly title: string;
  readonly uid: string;
  readonly sources: readonly MetricDefinition["source"][];
  /** Null: all that no other dashboard names. */
  readonly groups: readonly string[] | null;
  /** Metrics of which each target has at least one: the variables list their jobs and instances. */
  readonly listing: readonly MetricName[];
  /** The values to see at a glance, as figures in the first row. */
  readonly overview: readonly MetricName[];
}

const plans: Readonly<Record<string, DashboardPlan>> = {
  "machine.json": {
    title: "SHIM: one machine",
    uid: "shim-machine",
    sources: ["machine"],
    groups: null,
    listing: ["shim_sessions"],
    overview: [
      "shim_sessions",
      "shim_sessions_recoverable",
      "shim_session_risk_ratio",
      "shim_unsaved_age_seconds",
      "shim_sync_backlog_age_seconds",
      "shim_cost_today_dollars",
    ],
  },
  "team.json": {
    title: "SHIM: team",
    uid: "shim-team",
    sources: ["workspace"],
    groups: null,
    listing: ["shim_chats"],
    overview: [
      "shim_chats",
      "shim_tasks",
      "shim_task_oldest_queued_seconds",
      "shim_dead_tasks",
      "shim_alarm_late_seconds",
      "shim_storage_used_ratio",
    ],
  },
  "experiments.json": {
    title: "SHIM: experiments and routing",
    uid: "shim-experiments",
    sources: ["machine", "workspace"],
    groups: ["Experiments", "Routing"],
    listing: ["shim_experiments", "shim_chats"],
    overview: [
      "shim_experiments",
      "shim_experiment_sessions",
      "shim_experiment_stops_total",
      "shim_routed_attempts_total",
    ],
  },
};

const namedGroups = new Set(Object.values(plans).flatMap(({ groups }) => groups ?? []));

function isShownIn({ sources, groups }: DashboardPlan, { source, group }: MetricDefinition): boolean {
  return sources.includes(source) && (groups === null ? !namedGroups.has(group) : groups.includes(group));
}

/** Values above which an alert fires, as lines in the panel; in the metric's unit. */
const limits: Partial<Record<MetricName, number>> = {
  shim_save_duration_seconds: 0.1,
  shim_recovery_duration_seconds: 0.5,
  shim_storage_used_ratio: 0.7,
  shim_day_budget_ratio: 0.8,
};

const units = { seconds: "s", bytes: "bytes", ratio: "percentunit", dollars: "currencyUSD" } as const;

interface Query {
  readonly expr: string;
  readonly legend: string;
}

function queriesOf(name: MetricName): Query[] {
  const { type, unit, labels } = definitionOf(name);
  const by = Object.keys(labels);
  const legend = by.map((label) => `{{${label}}}`).join(" ");
  if (type === "histogram") return quantilesOf(name);
  if (type === "counter") return [{ expr: `${aggregate("sum", by)} (increase(${name}${selector}[${range}]))`, legend }];
  // A sum of shares or of ages says nothing, nor does one of versions.
  const isSum = unit !== "seconds" && unit !== "ratio" && !name.endsWith("_version");
  return [{ expr: `${aggregate(isSum ? "sum" : "max", by)} (${name}${selector})`, legend }];
}

function aggregate(operator: "sum" | "max", by: readonly string[]): string {
  return by.length === 0 ? operator : `${operator} by (${by.join(", ")})`;
}

/** Of a share the low values are the bad ones. */
function quantilesOf(name: MetricName): Query[] {
  const quantiles = definitionOf(name).unit === "ratio" ? [0.05, 0.5, 0.95, 0.99] : [0.5, 0.95, 0.99];
  return quantiles.map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (le) (increase(${name}_bucket${selector}[${range}])))`,
    legend: `p${Math.round(quantile * 100)}`,
  }));
}

function titleOf(name: MetricName): string {
  const { type, unit } = definitionOf(name);
  const words = name
    .replace(/^shim_/, "")
    .replace(/_total$/, "")
    .replace(new RegExp(`_${unit}$`), "")
    .replaceAll("_", " ");
  const title = words.charAt(0).toUpperCase() + words.slice(1);
  return type === "gauge" ? title : `${title}, last hour`;
}

function panelOf(name: MetricName): TimeseriesBuilder {
  const { help, type, unit } = definitionOf(name);
  const panel = new TimeseriesBuilder()
    .title(titleOf(name))
    .description(type === "histogram" ? help : `${help} (${name})`)
    .datasource(prometheus)
    .unit(unit === null ? "short" : units[unit])
    .min(0)
    .span(8)
    .height(7)
    .fillOpacity(10)
    .noValue("none yet");
  for (const [at, query] of queriesOf(name).entries()) panel.withTarget(targetOf(query, at));
  const limit = limits[name];
  if (limit === undefined) return panel;
  const steps = [
    { value: null, color: "green" },
    { value: limit, color: "red" },
  ];
  return panel
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps))
    .thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Line));
}

function figureOf(name: MetricName): StatBuilder {
  const { help, unit } = definitionOf(name);
  const panel = new StatBuilder()
    .title(titleOf(name))
    .description(help)
    .datasource(prometheus)
    .unit(unit === null ? "short" : units[unit])
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
    .span(4)
    .height(4)
    .noValue("none yet");
  for (const [at, query] of queriesOf(name).entries()) panel.withTarget(targetOf(query, at).instant());
  return panel;
}

function targetOf({ expr, legend }: Query, at: number): DataqueryBuilder {
  const refId = String.fromCodePoint(65 + at);
  const target = new DataqueryBuilder().datasource(prometheus).refId(refId).expr(expr);
  return legend === "" ? target : target.legendFormat(legend);
}

function variable(name: "job" | "instance", query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .datasource(prometheus)
    .query({ query, refId: name })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .allValue(".*")
    .current({ selected: true, text: "All", value: "$__all" });
}

function dashboardOf(plan: DashboardPlan): Dashboard {
  const { title, uid, overview } = plan;
  const every = `__name__=~"${plan.listing.join("|")}"`;
  const names = (Object.keys(metrics) as MetricName[]).filter((name) => isShownIn(plan, definitionOf(name)));
  const dashboard = new DashboardBuilder(title)
    .uid(uid)
    .tags(["shim"])
    .readonly()
    .refresh("1m")
    .time({ from: "now-6h", to: "now" })
    .timezone("browser")
    .annotations([])
    .withVariable(new DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"))
    .withVariable(variable("job", `label_values({${every}}, job)`))
    .withVariable(variable("instance", `label_values({${every}, job=~"$job"}, instance)`))
    .withRow(new RowBuilder("At a glance"));
  for (const name of overview) dashboard.withPanel(figureOf(name));
  for (const group of new Set(names.map((name) => definitionOf(name).group))) {
    dashboard.withRow(new RowBuilder(group));
    for (const name of names) if (definitionOf(name).group === group) dashboard.withPanel(panelOf(name));
  }
  return dashboard.build();
}

/** By the name of the file, as JSON. */
export function dashboards(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(plans).map(([file, plan]) => [file, `${JSON.stringify(dashboardOf(plan), null, 2)}\n`]),
  );
}

if (process.argv[1] === import.meta.filename) {
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(dashboards())) writeFileSync(join(folder, file), text);
}
