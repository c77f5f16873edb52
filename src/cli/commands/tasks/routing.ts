import { pluralize } from "../../../shared/format.ts";
import type { Command } from "commander";
import type { ModelAttempts, TierCounts, TypeRoutes } from "../../../contract/routes.ts";
import {
  minAccepted,
  minEffectiveN,
  toReport,
  type CostPerAccepted,
  type Saving,
} from "../../../routing/routing-report.ts";
import { lowerBound } from "../../../routing/success-bound.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, Columns, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";

interface TypeReport {
  readonly type: string;
  readonly routes: TypeRoutes;
  /** False: none of its attempts had a route. */
  readonly isRouted: boolean;
}

export function addRouting(task: Command, cli: Cli): void {
  const command = task
    .command("routing [type]")
    .description("which models did the tasks of a type, how well, and the cost of an accepted one");
  cli.define(command, (_options: CommonOptions, type?: string) =>
    cli.withWorkspace((link) => showRouting(cli, link, type)),
  );
}

async function showRouting(cli: Cli, link: Workspace, type: string | undefined): Promise<CommandResult> {
  const known = await link.call("tasks.routes", {});
  if (!known.ok) return known;
  const reports: TypeReport[] = [];
  const { types } = known.value;
  for (const name of type === undefined ? types : [type]) {
    const found = await link.call("tasks.routes", { type: name });
    if (!found.ok) return found;
    const { routes } = found.value;
    const isRouted = types.includes(name);
    if (routes && (isRouted || routes.models)) reports.push({ type: name, routes, isRouted });
  }
  const data = {
    types: reports.map(({ type: name, routes }) => Object.assign({ type: name, report: toReport(routes) }, routes)),
  };
  if (reports.length === 0)
    return ok({
      data,
      text: "No routed attempt has ended. `claude.route` in the settings of a worker routes tasks; `shim task routing <type>` shows the models of others.\n",
    });
  return ok({ data, text: reports.map((report) => reportText(cli, report)).join("\n") });
}

const tierColumns: Columns<TierCounts> = {
  TIER: ({ tier }) => tier,
  MODEL: ({ model, effort }) => (effort === null ? model : `${model}, ${effort}`),
  BAND: ({ band }) => band,
  TRIED: ({ tried }) => String(tried),
  DONE: ({ tried, succeeded }) => `${((100 * succeeded) / tried).toFixed(0)} %`,
  "AT LEAST": ({ tried, succeeded }) => `${(100 * lowerBound(succeeded, tried)).toFixed(0)} %`,
  "MEAN COST": ({ meanCostMicros }) => meanCost(meanCostMicros),
};

function meanCost(micros: number | null): string {
  return micros === null ? "not known" : `$${(micros / 1e6).toFixed(4)}`;
}

const modelColumns: Columns<ModelAttempts> = {
  MODEL: ({ model, effort }) => (effort === null ? model : `${model}, ${effort}`),
  "CHOSEN BY": ({ source }) => (source === "router" ? "the route" : "no route"),
  ATTEMPTS: ({ attempts }) => String(attempts),
  DONE: ({ done }) => String(done),
  "MEAN COST": ({ meanCostMicros }) => meanCost(meanCostMicros),
};

function reportText(cli: Cli, report: TypeReport): string {
  const { type, routes, isRouted } = report;
  const models = routes.models ?? [];
  const modelText =
    models.length === 0 ? "" : `All attempts of the type ${type}, by model:\n${cli.table(models, modelColumns)}`;
  return isRouted ? `${routeText(cli, report)}${modelText === "" ? "" : `\n${modelText}`}` : modelText;
}

/** [RT32] [RT33] */
function routeText(cli: Cli, { type, routes }: TypeReport): string {
  const report = toReport(routes);
  const rows: readonly (readonly [string, CostPerAccepted])[] = [
    ["as routed", report.routed],
    ["always default first", report.alwaysDefault],
    ["always best", report.alwaysBest],
  ];
  const costs = cli.table(rows, {
    POLICY: ([name]) => name,
    TASKS: ([, { n }]) => String(n),
    ACCEPTED: ([, { accepted }]) => String(accepted),
    "COST OF AN ACCEPTED TASK": ([, cost]) => costText(cost),
  });
  const left = [
    ...(routes.incomparable > 0
      ? [`${pluralize(routes.incomparable, "task")} had no other choice and are not compared.\n`]
      : []),
    ...(routes.unpriced > 0 ? [`Of ${pluralize(routes.unpriced, "task")} a cost is not known.\n`] : []),
  ];
  return [
    `Tasks of the type ${type}: first attempts by tier\n`,
    cli.table(routes.tiers, tierColumns, "None whose tier was a choice.\n"),
    `\n${costs}`,
    ...left,
    savingText("always default first", report.savedAgainstDefault),
    savingText("always best", report.savedAgainstBest),
  ].join("");
}

function costText({ isEnough, dollars, low, high }: CostPerAccepted): string {
  if (!isEnough || dollars === null || low === null || high === null) return "not enough evidence";
  return `$${dollars.toFixed(4)} (95 %: ${low.toFixed(4)} to ${high.toFixed(4)})`;
}

function savingText(baseline: string, saving: Saving | null): string {
  if (!saving)
    return `Against ${baseline}: not enough evidence (at least ${minAccepted} accepted tasks of each, and ${minEffectiveN} tasks by weight).\n`;
  const { dollars, low, high, verdict } = saving;
  const range = `${low.toFixed(4)} to ${high.toFixed(4)}`;
  if (verdict === "no difference shown")
    return `Against ${baseline}: no difference is shown (saved $${range} for an accepted task).\n`;
  const amount = `$${Math.abs(dollars).toFixed(4)}`;
  return `Against ${baseline}: routing is ${verdict} by ${amount} for an accepted task (95 %, saved: ${range}).\n`;
}
