import { InvalidArgumentError, Option, type Command } from "commander";
import * as z from "zod";
import type { Budget, Budgets, BudgetChanges, Usage } from "../../contract/budgets.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { defaultSettings, type Settings } from "../../contract/workspaces.ts";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import { age } from "../../shared/format.ts";
import { pick } from "../../shared/json-fields.ts";
import { ok } from "../../shared/result.ts";
import { listKeys, settingAt } from "../../shared/setting-keys.ts";
import { unknownKeyText } from "../../shared/close-words.ts";
import { notFound, wrongUsage, type Failed, recordLines, type Columns, type Shown, wrongWords } from "../answer.ts";
import { tableView } from "../view.ts";
import { addGroup, type Cli, type CommandResult } from "../cli.ts";
import { parseJson } from "../option-values.ts";
import { chatLabels, define, type Work } from "../operation-command.ts";

export function addState(team: Command, cli: Cli): void {
  const command = addGroup(team, "state", "shared, versioned values");
  define(cli, command, "get", {
    operation: "state.get",
    args: ["key"],
    refuse: ({ entry }, { key }) => (entry ? null : noKey(key)),
    view: ({ entry }) => [JSON.stringify(entry?.value)],
  });
  define(cli, command, "set", {
    operation: "state.set",
    args: ["key", "value"],
    summary: "Set a value: JSON, otherwise stored as text.",
    question: false,
    view: ({ version }, _cli, { input: { key } }) => [`${key} is set, version ${version}.`],
  });
  define(cli, command, "delete", {
    operation: "state.delete",
    args: ["key"],
    refuse: ({ isDeleted }, { key }) => (isDeleted ? null : noKey(key)),
    view: (_output, _cli, { input: { key } }) => [`${key} is deleted.`],
  });
  define(cli, command, "list", {
    operation: "state.list",
    args: ["prefix"],
    summary: "Keys, by prefix.",
    view: tableView({
      rows: ({ entries }) => entries,
      columns: {
        KEY: ({ key }) => key,
        VERSION: "version",
        SET: "ageMs",
        VALUE: ({ value }) => JSON.stringify(value),
      },
      empty: "No keys.",
    }),
  });
}

function noKey(key: string): Failed {
  return notFound(`there is no key ${key}.`);
}

const keys: readonly string[] = listKeys(defaultSettings).toSorted();

export function addSettings(team: Command, cli: Cli): void {
  const command = define(cli, team, "settings", {
    operation: "settings.get",
    summary: "Settings of the workspace; get, set, unset.",
    view: ({ settings }) => recordLines(Object.fromEntries(keys.map((key) => [key, settingText(settings, key)]))),
  });
  const withKey = (key: string, body: (link: Workspace) => Promise<CommandResult>): Promise<CommandResult> | Failed =>
    keys.includes(key) ? cli.withWorkspace(body) : wrongUsage(unknownKeyText(key, keys));
  const input = z.strictObject({ key: z.string() });
  const example = { key: "maxConcurrentChats", value: "20" };
  define(cli, command, "get", {
    input,
    summary: "One setting, such as maxConcurrentChats.",
    example,
    args: ["key"],
    run: ({ key }) =>
      withKey(key, async (link) => {
        const found = await link.call("settings.get", {});
        if (!found.ok) return found;
        const value = settingAt(found.value.settings, key) ?? null;
        return ok({ data: { key, value }, text: [valueText(value)] });
      }),
  });
  define(cli, command, "set", {
    input: input.extend({ value: z.string() }),
    summary: "Change a setting for every chat of the workspace.",
    example,
    args: ["key", "value"],
    run: ({ key, value: text }) =>
      withKey(key, async (link) => {
        const value = parseJson(text, "the value");
        return value.ok ? change(link, key, value.value) : value;
      }),
  });
  define(cli, command, "unset", {
    input,
    summary: "Go back to the default.",
    example,
    args: ["key"],
    run: ({ key }) => withKey(key, (link) => change(link, key, settingAt(defaultSettings, key) ?? null)),
  });
}

function settingText(settings: Settings, key: string): string {
  const value = valueText(settingAt(settings, key));
  const usual = valueText(settingAt(defaultSettings, key));
  return value === usual ? value : `${value} (default: ${usual})`;
}

function valueText(value: unknown): string {
  return value === undefined || value === null ? "none" : JSON.stringify(value);
}

/** Groups are replaced as a whole, so the rest is sent too. */
async function change(link: Workspace, key: string, value: unknown): Promise<CommandResult> {
  const [top = "", ...rest] = key.split(".");
  const found = await link.call("settings.get", {});
  if (!found.ok) return found;
  const settings = pick(replaceAt(found.value.settings, [top, ...rest], value), [top]);
  const done = await link.call("settings.set", { settings: settings });
  if (!done.ok) return done;
  const now = settingAt(done.value.settings, key) ?? null;
  return ok({ data: { key, value: now }, text: [`${key} is ${valueText(now)}`] });
}

function replaceAt(whole: unknown, [name = "", ...rest]: readonly string[], value: unknown): unknown {
  const inner = (whole as Record<string, unknown> | undefined)?.[name];
  return { ...(whole as object), [name]: rest.length === 0 ? value : replaceAt(inner, rest, value) };
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
