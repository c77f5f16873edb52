import { InvalidArgumentError, Option, type Command } from "commander";
import * as z from "zod";
import type { Budget, Budgets, BudgetChanges, Usage } from "../../contract/budgets.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { defaultSettings } from "../../contract/workspaces.ts";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import { age } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import { unknownKeyText } from "../../shared/close-words.ts";
import { wrongUsage, type Failed, type Columns, type Shown, wrongWords } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { parseJson } from "../option-values.ts";
import { chatLabels, define, type Work } from "../operation-command.ts";
import { workspaceOperations } from "../../contract/workspaces.ts";

/** Budgets have a command of their own. */
const { budgets: _, ...usual } = defaultSettings;
type Key = keyof typeof usual;
const keys = Object.keys(usual).toSorted() as Key[];

function isKey(text: string): text is Key {
  return Object.hasOwn(usual, text);
}

export function addSettings(team: Command, cli: Cli): void {
  const command = define(cli, team, "settings", {
    operation: "settings.get",
    of: workspaceOperations,
    summary: "Settings of the workspace; get, set, unset.",
    view: ({ settings }) =>
      keys.map((key) => `${key}: ${settings[key]}${settings[key] === usual[key] ? "" : ` (default: ${usual[key]})`}`),
  });
  const withKey = (
    text: string,
    body: (link: Workspace, key: Key) => Promise<CommandResult>,
  ): Promise<CommandResult> | Failed =>
    isKey(text) ? cli.withWorkspace((link) => body(link, text)) : wrongUsage(unknownKeyText(text, keys));
  const input = z.strictObject({ key: z.string() });
  const example = { key: "maxConcurrentChats", value: "20" };
  define(cli, command, "get", {
    input,
    summary: "One setting, such as maxConcurrentChats.",
    example,
    args: ["key"],
    run: ({ key: text }) =>
      withKey(text, async (link, key) => {
        const found = await link.call("settings.get", {});
        if (!found.ok) return found;
        const value = found.value.settings[key];
        return ok({ data: { key, value }, text: [String(value)] });
      }),
  });
  define(cli, command, "set", {
    input: input.extend({ value: z.string() }),
    summary: "Change a setting for every chat of the workspace.",
    example,
    args: ["key", "value"],
    run: ({ key: text, value: typed }) =>
      withKey(text, async (link, key) => {
        const value = parseJson(typed, "the value");
        return value.ok ? change(link, key, value.value) : value;
      }),
  });
  define(cli, command, "unset", {
    input,
    summary: "Go back to the default.",
    example,
    args: ["key"],
    run: ({ key: text }) => withKey(text, (link, key) => change(link, key, usual[key])),
  });
}

/** @param value the coordinator checks it */
async function change(link: Workspace, key: Key, value: unknown): Promise<CommandResult> {
  const done = await link.call("settings.set", { settings: { [key]: value } });
  if (!done.ok) return done;
  const now = done.value.settings[key];
  return ok({ data: { key, value: now }, text: [`${key} is ${now}`] });
}

type BudgetLimit = number | "none";

const ownerTexts = {
  day: "all work of a day (UTC)",
  chat: "each chat, over its life",
  task: "each task without its own limit",
};
const budgetOwners = ["day", "chat", "task"] as const;

interface Unit {
  readonly option: string;
  readonly name: string;
  readonly measure: keyof Budget;
  /** Stored units in one typed unit. */
  readonly scale: number;
  readonly show: (value: number) => string;
}

const units: readonly Unit[] = [
  { option: "Usd", name: "cost", measure: "costMicros", scale: 1_000_000, show: dollars },
  { option: "Tokens", name: "tokens", measure: "tokens", scale: 1, show: (value) => value.toLocaleString("en-US") },
  { option: "Minutes", name: "time", measure: "wallMs", scale: 60_000, show: age },
];

export function addBudget(team: Command, cli: Cli): void {
  const command = define(cli, team, "budget", {
    operation: "budgets.get",
    of: workspaceOperations,
    summary: "Limits on usage, and the usage so far; `team budget set` changes limits.",
    isLabelled: true,
    view: formatBudgets,
  });
  define(cli, command, "set", {
    summary: "Change limits (a number, or none); limits that are not named stay.",
    example: { dayUsd: 20, taskUsd: 2 },
    own: budgetOwners.flatMap((owner) =>
      units.map((unit) => {
        const text = `${unit.name} of ${ownerTexts[owner]}`;
        return new Option(`--${owner}-${unit.option.toLowerCase()} <n>`, text).argParser(parseLimit(unit));
      }),
    ),
    run: (_input, options) => {
      const budgets: BudgetChanges = {};
      for (const owner of budgetOwners)
        for (const { option, measure } of units) {
          const limit = options[`${owner}${option}`] as BudgetLimit | undefined;
          if (limit === undefined) continue;
          budgets[owner] = { ...budgets[owner], [measure]: limit === "none" ? null : limit };
        }
      return setBudgets(cli, budgets);
    },
  });
}

/** Keeps limits below 2^53 in the stored unit. */
function parseLimit({ scale }: Unit): (text: string) => BudgetLimit {
  return (text) => {
    if (text === "none") return text;
    const value = Math.round(Number(/^\d+(\.\d+)?$/.test(text) ? text : Number.NaN) * scale);
    if (Number.isSafeInteger(value) && value >= 1) return value;
    throw new InvalidArgumentError("Give a number above 0, such as 20 or 2.5, or none.");
  };
}

/** At least two decimals, and no more than needed: 0.0132 and 20.00. */
function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(6).replace(/0{1,4}$/, "")}`;
}

function formatBudgets(
  { limits, today, dayEndsInMs, isDaySpent, chats }: OutputOf<"budgets.get">,
  cli: Cli,
  { label }: Pick<Work<"budgets.get">, "label">,
): Shown {
  const limitOf =
    (owner: keyof Budgets) =>
    ({ measure, show }: Unit): string => {
      const limit = limits[owner][measure];
      return limit === undefined ? "none" : show(limit);
    };
  const chatColumns: Columns<OutputOf<"budgets.get">["chats"][number]> = {
    CHAT: ({ chat }) => label(chat),
    MACHINE: "machine",
    ...Object.fromEntries(
      units.map(({ name, measure, show }) => [name.toUpperCase(), ({ used }: { used: Usage }) => show(used[measure])]),
    ),
    "": ({ isSpent }) => (isSpent ? "limit reached" : ""),
  };
  const reached = "The limit of the day is reached: nothing new starts before the day ends or the limit is raised. ";
  return [
    cli.table(units, {
      "": "name",
      "USED TODAY": ({ measure, show }) => show(today[measure]),
      "LIMIT OF THE DAY": limitOf("day"),
      "OF A CHAT": limitOf("chat"),
      "OF A TASK": limitOf("task"),
    }),
    `${isDaySpent ? reached : ""}The day (UTC) ends in ${age(dayEndsInMs)}.`,
    chats.length > 0 && `\n${cli.table(chats, chatColumns)}`,
    "Chats that do no task are not in the table: `shim cost` has those of this machine.",
  ];
}

async function setBudgets(cli: Cli, budgets: BudgetChanges): Promise<CommandResult> {
  if (Object.keys(budgets).length === 0) return wrongWords("name a limit, such as --day-usd 20 or --task-tokens none.");
  return cli.withWorkspace(async (link): Promise<CommandResult> => {
    const done = await link.call("settings.set", { settings: { budgets } });
    const read = done.ok ? await link.call("budgets.get", {}) : done;
    if (!read.ok) return read;
    return ok({ data: read.value, text: formatBudgets(read.value, cli, { label: await chatLabels(cli) }) });
  });
}
