import { type Command, InvalidArgumentError } from "commander";
import { Budget, type BudgetChanges, Budgets, type Usage } from "../../contract/budgets.ts";
import type { UsageLine } from "../../contract/machine/usage.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import type { Change } from "../../contract/state.ts";
import { type Settings, defaultSettings } from "../../contract/workspaces.ts";
import type { FollowedChanges, Workspace } from "../../local-mcp/host/host.ts";
import { age, oneLine } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import { listKeys, settingAt } from "../../shared/setting-keys.ts";
import { unknownKeyText } from "../../shared/unknown-key.ts";
import { type CliResult, type FailedResult, notFound, wrongUsage } from "../answer.ts";
import { type Cli, type Columns, type CommandResult, type CommonOptions, revision } from "../cli.ts";
import { safeJsonLine, safeText } from "../screen-text.ts";
import { parseJson } from "../task-input.ts";
import { linesView, recordView, tableView } from "../views.ts";
import { type Work, chatLabels, defineWork } from "../workspace-command.ts";

export function addState(program: Command, cli: Cli): void {
  const command = program.command("state").description("shared, versioned values");
  defineWork(cli, command, "get", {
    operation: "state.get",
    args: ["key"],
    refuse: ({ entry }, { key }) => (entry ? null : noKey(key)),
    view: linesView(({ entry }) => [JSON.stringify(entry?.value)]),
  });
  defineWork(cli, command, "set", {
    operation: "state.set",
    args: ["key", "value"],
    summary: "Set a value: JSON, otherwise stored as text.",
    isAsked: false,
    view: linesView(({ version }, _cli, { input: { key } }) => [`${key} is set, version ${version}.`]),
  });
  defineWork(cli, command, "delete", {
    operation: "state.delete",
    args: ["key"],
    refuse: ({ isDeleted }, { key }) => (isDeleted ? null : noKey(key)),
    view: linesView((_output, _cli, { input: { key } }) => [`${key} is deleted.`]),
  });
  defineWork(cli, command, "list", {
    operation: "state.list",
    args: ["prefix"],
    summary: "Keys, by prefix.",
    view: tableView({
      rows: ({ entries }) => entries,
      columns: () => ({
        KEY: ({ key }) => key,
        VERSION: ({ version }) => String(version),
        SET: ({ ageMs }) => `${age(ageMs)} ago`,
        VALUE: ({ value }) => oneLine(JSON.stringify(value), 60),
      }),
      empty: "No keys.",
    }),
  });
}

function noKey(key: string): FailedResult {
  return notFound(`there is no key ${key}.`);
}

interface WatchOptions extends CommonOptions {
  readonly from?: number;
  readonly once?: boolean;
}

export function addWatch(program: Command, cli: Cli): void {
  const command = program
    .command("watch [prefix]")
    .description("show changes of state, chats ($chat/) and leaders ($leader/) as they happen")
    .option("--from <revision>", "start after this revision (default: now)", revision)
    .option("--once", "print the changes made so far and exit");
  cli.define(command, (options: WatchOptions, prefix = "") =>
    cli.withWorkspace(async (link) => {
      const start = await findStartRevision(link, options.from);
      if (!start.ok) return start;
      const watch = { prefix, after: start.value };
      return options.once ? showOnce(cli, link, watch, options) : follow(cli, link, watch, options);
    }),
  );
}

interface WatchStart {
  readonly prefix: string;
  readonly after: number;
}

async function showOnce(cli: Cli, link: Workspace, start: WatchStart, options: WatchOptions): Promise<CommandResult> {
  let count = 0;
  for (let { after } = start; ;) {
    const pulled = await link.call("state.changes", { prefix: start.prefix, after, limit: 500 });
    if (!pulled.ok) return pulled;
    show(cli, options, pulled.value.changes);
    count += pulled.value.changes.length;
    after = pulled.value.revision;
    if (!pulled.value.isMore) return endAnswer(after, count === 0 ? `no change after revision ${after}\n` : "");
  }
}

/** [CL31] Follows over all interruptions; ends with Ctrl-C, or on a final error. */
async function follow(cli: Cli, link: Workspace, start: WatchStart, options: WatchOptions): Promise<CommandResult> {
  let { after } = start;
  for await (const event of link.watch(start, cli.io.interrupted(), (text) => cli.progress(text))) {
    if (!event.ok) return event;
    if (event.value.type === "changes") show(cli, options, event.value.changes);
    else showAll(cli, options, event.value);
    after = event.value.revision;
  }
  return endAnswer(after);
}

function endAnswer(revision: number, text = ""): CommandResult {
  return ok({ data: { revision }, text, isOneLine: true });
}

async function findStartRevision(link: Workspace, from: number | undefined): Promise<CliResult<number>> {
  if (from === undefined) {
    const listed = await link.call("state.list", { limit: 1 });
    return listed.ok ? ok(listed.value.revision) : listed;
  }
  // A revision that is no longer kept is refused, not skipped.
  const asked = await link.call("state.changes", { after: from, limit: 1 });
  return asked.ok ? ok(from) : asked;
}

function show(cli: Cli, { json }: WatchOptions, changes: readonly Change[]): void {
  for (const change of changes) cli.io.stdout(json ? `${safeJsonLine(change)}\n` : safeText(formatChange(change)));
}

/** After a long disconnection the changes are no longer kept. */
function showAll(
  cli: Cli,
  { json }: WatchOptions,
  { entries, revision: at }: Extract<FollowedChanges, { type: "snapshot" }>,
): void {
  if (json) return cli.io.stdout(`${safeJsonLine({ snapshot: entries, revision: at })}\n`);
  cli.io.stdout(`${at}  the changes since then are no longer kept; the current state:\n`);
  for (const { key, version, value } of entries) {
    cli.io.stdout(safeText(`${version}  is  ${oneLine(key, 200)}  ${oneLine(JSON.stringify(value), 200)}\n`));
  }
}

function formatChange({ revision: at, op, key, value }: Change): string {
  return `${at}  ${op}  ${oneLine(key, 200)}${op === "set" ? `  ${oneLine(JSON.stringify(value), 200)}` : ""}\n`;
}

type SettingsChanges = InputOf<"settings.set">["settings"];

/** Unset limits have no value, so the defaults do not name them. */
const budgetKeys = Object.keys(Budgets.shape).flatMap((owner) =>
  Object.keys(Budget.shape).map((measure) => `budgets.${owner}.${measure}`),
);
const keys: readonly string[] = [...listKeys(defaultSettings), ...budgetKeys].toSorted();

export function addSettings(program: Command, cli: Cli): void {
  const command = defineWork(cli, program, "settings", {
    operation: "settings.get",
    summary: "Settings of the workspace; get, set, unset.",
    view: recordView(({ settings }) => Object.fromEntries(keys.map((key) => [key, formatSetting(settings, key)]))),
  });
  const get = command.command("get <key>").description("one setting, such as maxConcurrentChats");
  cli.define(get, (_options: CommonOptions, key: string) => withKey(cli, key, (link) => getOne(link, key)));
  const set = command.command("set <key> <value>").description("change a setting for every chat of the workspace");
  cli.define(set, (_options: CommonOptions, key: string, text: string) => {
    const value = parseJson(text, "the value");
    return value.ok ? withKey(cli, key, (link) => change(link, key, value.value)) : Promise.resolve(value);
  });
  const unset = command.command("unset <key>").description("go back to the default");
  cli.define(unset, (_options: CommonOptions, key: string) =>
    withKey(cli, key, (link) => change(link, key, settingAt(defaultSettings, key) ?? null)),
  );
}

function withKey(cli: Cli, key: string, body: (link: Workspace) => Promise<CommandResult>): Promise<CommandResult> {
  return keys.includes(key) ? cli.withWorkspace(body) : Promise.resolve(wrongUsage(unknownKeyText(key, keys)));
}

function formatSetting(settings: Settings, key: string): string {
  const value = valueText(settingAt(settings, key));
  const usual = valueText(settingAt(defaultSettings, key));
  return value === usual ? value : `${value} (default: ${usual})`;
}

function valueText(value: unknown): string {
  return value === undefined || value === null ? "none" : JSON.stringify(value);
}

async function getOne(link: Workspace, key: string): Promise<CommandResult> {
  const found = await link.call("settings.get", {});
  if (!found.ok) return found;
  const value = settingAt(found.value.settings, key) ?? null;
  return ok({ data: { key, value }, text: `${valueText(value)}\n` });
}

async function change(link: Workspace, key: string, value: unknown): Promise<CommandResult> {
  const settings = await toChanges(link, key, value);
  if (!settings.ok) return settings;
  const done = await link.call("settings.set", { settings: settings.value });
  if (!done.ok) return done;
  const now = settingAt(done.value.settings, key) ?? null;
  return ok({ data: { key, value: now }, text: `${key} is ${valueText(now)}\n` });
}

/** Groups are replaced as a whole, so the rest is sent too; budgets alone are merged. */
async function toChanges(link: Workspace, key: string, value: unknown) {
  const [top = "", ...rest] = key.split(".");
  if (rest.length === 0 || top === "budgets") return ok(nest([top, ...rest], value) as SettingsChanges);
  const found = await link.call("settings.get", {});
  if (!found.ok) return found;
  return ok({ [top]: replaceAt(settingAt(found.value.settings, top), rest, value) });
}

function nest([name = "", ...rest]: readonly string[], value: unknown): unknown {
  return { [name]: rest.length === 0 ? value : nest(rest, value) };
}

function replaceAt(whole: unknown, [name = "", ...rest]: readonly string[], value: unknown): unknown {
  const inner = (whole as Record<string, unknown> | undefined)?.[name];
  return { ...(whole as object), [name]: rest.length === 0 ? value : replaceAt(inner, rest, value) };
}

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

export function addBudget(program: Command, cli: Cli): void {
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
