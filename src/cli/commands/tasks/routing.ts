import type { Command } from "commander";
import type { ModelAttempts, TierCounts, TypeRoutes } from "../../../contract/routes.ts";
import {
  minAccepted,
  minEffectiveN,
  toReport,
  type CostPerAccepted,
  type RoutingReport,
  type Saving,
} from "../../../routing/routing-report.ts";
import { lowerBound } from "../../../routing/success-rate.ts";
import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import type { Cli, Columns } from "../../cli.ts";
import { defineWork, type Work } from "../../workspace-command.ts";

interface TypeReport extends TypeRoutes {
  readonly type: string;
  readonly report: RoutingReport;
}

interface Reports {
  readonly types: readonly TypeReport[];
}

export function addCommand(task: Command, cli: Cli): void {
  defineWork(cli, task, "routing", {
    operation: "tasks.routes",
    args: ["type"],
    summary: "Which models did the tasks of a type, how well, and the cost of an accepted one.",
    run: readReports,
    view: ({ types }) =>
      types.length === 0
        ? "No routed attempt has ended. `claude.route` in the settings of a worker routes tasks; `shim task routing <type>` shows the models of others.\n"
        : types.map((report) => reportText(cli, report)).join("\n"),
  });
}

async function readReports({ link, input }: Work<"tasks.routes">): Promise<CliResult<Reports>> {
  const routed = await link.call("tasks.routes", {});
  if (!routed.ok) return routed;
  const types: TypeReport[] = [];
  for (const type of input.type === undefined ? routed.value.types : [input.type]) {
    const found = await link.call("tasks.routes", { type });
    if (!found.ok) return found;
    const { routes } = found.value;
    const isRouted = routed.value.types.includes(type);
    if (routes && (isRouted || routes.models)) types.push({ type, report: toReport(routes), ...routes });
  }
  return ok({ types });
}

const tierColumns: Columns<TierCounts> = {
  TIER: ({ tier }) => tier,
  MODEL: modelText,
  BAND: ({ band }) => band,
  TRIED: ({ tried }) => String(tried),
  DONE: ({ tried, succeeded }) => `${((100 * succeeded) / tried).toFixed(0)} %`,
  "AT LEAST": ({ tried, succeeded }) => `${(100 * lowerBound(succeeded, tried)).toFixed(0)} %`,
  "MEAN COST": meanCost,
};

const modelColumns: Columns<ModelAttempts> = {
  MODEL: modelText,
  "CHOSEN BY": ({ source }) => (source === "router" ? "the route" : "no route"),
  ATTEMPTS: ({ attempts }) => String(attempts),
  DONE: ({ done }) => String(done),
  "MEAN COST": meanCost,
};

const costColumns: Columns<readonly [string, CostPerAccepted]> = {
  POLICY: ([name]) => name,
  TASKS: ([, { n }]) => String(n),
  ACCEPTED: ([, { accepted }]) => String(accepted),
  "COST OF AN ACCEPTED TASK": ([, { isEnough, dollars, low, high }]) =>
    isEnough && dollars !== null
      ? `$${dollars.toFixed(4)} (95 %: ${low?.toFixed(4)} to ${high?.toFixed(4)})`
      : "not enough evidence",
};

function modelText({ model, effort }: { readonly model: string; readonly effort: string | null }): string {
  return effort === null ? model : `${model}, ${effort}`;
}

function meanCost({ meanCostMicros: micros }: { readonly meanCostMicros: number | null }): string {
  return micros === null ? "not known" : `$${(micros / 1e6).toFixed(4)}`;
}

/** [RT32] [RT33] The models of a type without a route are no report of routing. */
function reportText(
  cli: Cli,
  { type, models = [], tiers, report, incomparable, unpriced, routed }: TypeReport,
): string {
  const byModel =
    models.length === 0 ? "" : `All attempts of the type ${type}, by model:\n${cli.table(models, modelColumns)}`;
  const isRouted = tiers.length > 0 || routed.n > 0 || incomparable > 0 || unpriced > 0;
  if (!isRouted) return byModel;
  const policies = [
    ["as routed", report.routed],
    ["always default first", report.alwaysDefault],
    ["always best", report.alwaysBest],
  ] as const;
  return [
    `Tasks of the type ${type}: first attempts by tier\n`,
    cli.table(tiers, tierColumns, "None whose tier was a choice.\n"),
    `\n${cli.table(policies, costColumns)}`,
    incomparable > 0 ? `${pluralize(incomparable, "task")} had no other choice and are not compared.\n` : "",
    unpriced > 0 ? `Of ${pluralize(unpriced, "task")} a cost is not known.\n` : "",
    savingText("always default first", report.savedAgainstDefault),
    savingText("always best", report.savedAgainstBest),
    byModel === "" ? "" : `\n${byModel}`,
  ].join("");
}

function savingText(baseline: string, saving: Saving | null): string {
  if (!saving)
    return `Against ${baseline}: not enough evidence (at least ${minAccepted} accepted tasks of each, and ${minEffectiveN} tasks by weight).\n`;
  const { dollars, low, high, verdict } = saving;
  const range = `${low.toFixed(4)} to ${high.toFixed(4)}`;
  return verdict === "no difference shown"
    ? `Against ${baseline}: no difference is shown (saved $${range} for an accepted task).\n`
    : `Against ${baseline}: routing is ${verdict} by $${Math.abs(dollars).toFixed(4)} for an accepted task (95 %, saved: ${range}).\n`;
}
