import { InvalidArgumentError, type Command } from "commander";
import type { Budget, BudgetChanges, Budgets, Usage } from "../../../contract/budgets.ts";
import type { UsageLine } from "../../../contract/machine/usage.ts";
import type { OutputOf } from "../../../contract/operations.ts";
import { age } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import { chatLabels } from "../../chat-names.ts";
import type { Cli, Columns, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { defineWork, type Work } from "../../workspace-command.ts";

type BudgetOwner = keyof Budgets;
type BudgetMeasure = keyof Budget;
type BudgetLimit = number | "none";
type SetOptions = CommonOptions & Partial<Record<string, BudgetLimit | boolean>>;

const ownerText: Readonly<Record<BudgetOwner, string>> = {
  day: "all work of a day (UTC)",
  chat: "each chat, over its life",
  task: "each task without its own limit",
};
const budgetOwners = ["day", "chat", "task"] as const;

interface Unit {
  readonly option: string;
  readonly name: string;
  readonly measure: BudgetMeasure;
  /** Stored units in one typed unit. */
  readonly scale: number;
  readonly show: (value: number) => string;
}

const units: readonly Unit[] = [
  { option: "Usd", name: "cost", measure: "costMicros", scale: 1_000_000, show: dollars },
  { option: "Tokens", name: "tokens", measure: "tokens", scale: 1, show: (value) => value.toLocaleString("en-US") },
  { option: "Minutes", name: "time", measure: "wallMs", scale: 60_000, show: age },
];

export function addCommand(program: Command, cli: Cli): void {
  const command = defineWork(cli, program, "budget", {
    operation: "budgets.get",
    summary: "Limits on usage, and the usage so far; `team budget set` changes limits.",
    isLabelled: true,
    run: readBudgets,
    view: formatBudgets,
  });
  const set = command.command("set").description("change limits (a number, or none); limits that are not named stay");
  for (const owner of budgetOwners) {
    for (const unit of units) {
      set.option(
        `--${owner}-${unit.option.toLowerCase()} <n>`,
        `${unit.name} of ${ownerText[owner]}`,
        parseLimit(unit),
      );
    }
  }
  cli.define(set, (options: SetOptions) => cli.withWorkspace((link) => setBudgets(cli, link, options)));
}

/** Keeps limits below 2^53 in the stored unit. */
function parseLimit({ scale }: Unit): (text: string) => BudgetLimit {
  return (text) => {
    if (text === "none") return text;
    const value = Math.round(Number(/^\d+(\.\d+)?$/.test(text) ? text : Number.NaN) * scale);
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new InvalidArgumentError("Give a number above 0, such as 20 or 2.5, or none.");
    }
    return value;
  };
}

/** At least two decimals, and no more than needed: 0.0132 and 20.00. */
function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(6).replace(/0{1,4}$/, "")}`;
}

interface BudgetsNow extends OutputOf<"budgets.get"> {
  /** Use of this machine's chats today without a task. */
  readonly taskless: Pick<Usage, "tokens" | "costMicros">;
}

async function readBudgets({ cli, link }: Pick<Work<"budgets.get">, "cli" | "link">): Promise<CliResult<BudgetsNow>> {
  const found = await link.call("budgets.get", {});
  if (!found.ok) return found;
  const usage = await cli.call("usage.list", { by: "task", since: cli.io.now() });
  if (!usage.ok) return usage;
  const line = usage.value.lines.find(({ key }) => key === null);
  return ok({ ...found.value, taskless: line ? totalOf(line) : { tokens: 0, costMicros: 0 } });
}

function totalOf(line: UsageLine): BudgetsNow["taskless"] {
  const { input, output, cacheRead, cacheWrite, clientCostUsd, estimatedCostUsd } = line;
  const costMicros = Math.round((clientCostUsd + estimatedCostUsd) * 1_000_000);
  return { tokens: input + output + cacheRead + cacheWrite, costMicros };
}

/** [BU17] `shim cost` counts the chats of a machine, the coordinator the tasks of a workspace. */
function formatTaskless({ tokens, costMicros }: Pick<Usage, "tokens" | "costMicros">): string {
  const used = `${tokens.toLocaleString("en-US")} tokens, ${dollars(costMicros)}`;
  return `Without a task the chats of this machine have used today: ${used}. That is in \`shim cost\` and not in the table: a limit stops tasks, and chats without a task are only warned.\n`;
}

function formatBudgets(
  { limits, today, dayEndsInMs, isDaySpent, chats, taskless }: BudgetsNow,
  cli: Cli,
  { label }: Pick<Work<"budgets.get">, "label">,
): string {
  const limitColumn = (owner: BudgetOwner) => (unit: Unit) => limitText(limits[owner][unit.measure], unit.show);
  const limitTable = cli.table(units, {
    "": ({ name }) => name,
    "USED TODAY": ({ measure, show }) => show(today[measure]),
    "LIMIT OF THE DAY": limitColumn("day"),
    "OF A CHAT": limitColumn("chat"),
    "OF A TASK": limitColumn("task"),
  });
  const state = isDaySpent
    ? "The limit of the day is reached: nothing new starts before the day ends or the limit is raised. "
    : "";
  const chatTable = chats.length === 0 ? "" : `\n${cli.table(chats, chatColumns(label))}`;
  return `${limitTable}${state}The day (UTC) ends in ${age(dayEndsInMs)}.\n${chatTable}${formatTaskless(taskless)}`;
}

function limitText(limit: number | undefined, show: (value: number) => string): string {
  return limit === undefined ? "none" : show(limit);
}

function chatColumns(label: (chat: string) => string): Columns<BudgetsNow["chats"][number]> {
  return {
    CHAT: ({ chat }) => label(chat),
    MACHINE: ({ machine }) => machine ?? "-",
    ...Object.fromEntries(
      units.map(({ name, measure, show }) => [name.toUpperCase(), ({ used }: { used: Usage }) => show(used[measure])]),
    ),
    "": ({ isSpent }) => (isSpent ? "limit reached" : ""),
  };
}

async function setBudgets(cli: Cli, link: Workspace, options: SetOptions): Promise<CommandResult> {
  const changes = budgetOwners.flatMap((owner) =>
    units.flatMap(({ option, measure }) => {
      const limit = options[`${owner}${option}`];
      return limit === undefined || typeof limit === "boolean" ? [] : [{ owner, measure, limit }];
    }),
  );
  if (changes.length === 0) return wrongUsage("name a limit, such as --day-usd 20 or --task-tokens none.");
  const budgets: BudgetChanges = {};
  for (const { owner, measure, limit } of changes) {
    budgets[owner] = { ...budgets[owner], [measure]: limit === "none" ? null : limit };
  }
  const done = await link.call("settings.set", { settings: { budgets } });
  if (!done.ok) return done;
  const read = await readBudgets({ cli, link });
  if (!read.ok) return read;
  return ok({ data: read.value, text: formatBudgets(read.value, cli, { label: await chatLabels(cli) }) });
}
