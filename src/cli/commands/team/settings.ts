import type { Command } from "commander";
import { Budget, Budgets } from "../../../contract/budgets.ts";
import type { InputOf } from "../../../contract/operations.ts";
import { defaultSettings, type Settings } from "../../../contract/workspaces.ts";
import { wrongUsage } from "../../answer.ts";
import { listKeys, settingAt } from "../../../shared/setting-keys.ts";
import { unknownKeyText } from "../../../shared/unknown-key.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { parseJson } from "../../task-input.ts";
import { recordView } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";
import { ok } from "../../../shared/result.ts";

type SettingsChanges = InputOf<"settings.set">["settings"];

/** Unset limits have no value, so the defaults do not name them. */
const budgetKeys = Object.keys(Budgets.shape).flatMap((owner) =>
  Object.keys(Budget.shape).map((measure) => `budgets.${owner}.${measure}`),
);
const keys: readonly string[] = [...listKeys(defaultSettings), ...budgetKeys].toSorted();

export function addCommand(program: Command, cli: Cli): void {
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
