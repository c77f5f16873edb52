import type { Command } from "commander";
import type { TierCounts, TypeRoutes } from "../../../contract/routes.ts";
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
import { withCheckedLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { pluralize } from "../../screen-text.ts";

interface TypeReport {
  readonly type: string;
  readonly routes: TypeRoutes;
}

export function addRouting(program: Command, cli: Cli): void {
  const command = program
    .command("routing [type]")
    .description("which models did routed tasks, how well, and the cost of an accepted task");
  cli.define(command, (_options: CommonOptions, type?: string) =>
    withCheckedLink(cli, (link) => showRouting(cli, link, type)),
  );
}

async function showRouting(cli: Cli, link: CoordinatorLink, type: string | undefined): Promise<CommandResult> {
  const known = await link.call("tasks.routes", {});
  if (!known.ok) return known;
  const reports: TypeReport[] = [];
  for (const name of known.value.types.filter((one) => type === undefined || one === type)) {
    const found = await link.call("tasks.routes", { type: name });
    if (!found.ok) return found;
    if (found.value.routes) reports.push({ type: name, routes: found.value.routes });
  }
  const data = {
    types: reports.map(({ type: name, routes }) => Object.assign({ type: name, report: toReport(routes) }, routes)),
  };
  if (reports.length === 0)
    return ok({
      data,
      text: "No routed attempt has ended. `claude.route` in the settings of a worker routes tasks.\n",
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
  "MEAN COST": ({ meanCostMicros }) =>
    meanCostMicros === null ? "not known" : `$${(meanCostMicros / 1e6).toFixed(4)}`,
};

/** [RT32] [RT33] */
function reportText(cli: Cli, { type, routes }: TypeReport): string {
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
