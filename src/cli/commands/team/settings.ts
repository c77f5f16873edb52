import type { Command } from "commander";
import { Budget, Budgets } from "../../../contract/budgets.ts";
import type { InputOf } from "../../../contract/operations.ts";
import { defaultSettings, type Settings } from "../../../contract/workspaces.ts";
import { wrongUsage } from "../../answer.ts";
import { listKeys, settingAt } from "../../../shared/setting-keys.ts";
import { unknownKeyText } from "../../../shared/unknown-key.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { withCheckedLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { needsAdmin } from "../../needs-admin.ts";
import { table } from "../../screen-text.ts";
import { ok } from "../../../shared/result.ts";

type SettingsChanges = InputOf<"settings.set">["settings"];

/** Unset limits have no value, so the defaults do not name them. */
const budgetKeys = Object.keys(Budgets.shape).flatMap((owner) =>
  Object.keys(Budget.shape).map((measure) => `budgets.${owner}.${measure}`),
);
const keys: readonly string[] = [...listKeys(defaultSettings), ...budgetKeys].toSorted();

export function addSettings(program: Command, cli: Cli): void {
  const command = program.command("settings").description("settings of the workspace; get, set, unset");
  cli.define(command, () => withCheckedLink(cli, (link) => list(cli, link)));
  const get = command.command("get <key>").description("one setting, such as maxConcurrentChats");
  cli.define(get, (_options: CommonOptions, key: string) => withKey(cli, key, (link) => getOne(link, key)));
  const set = command.command("set <key> <value>").description("change a setting for every chat of the workspace");
  cli.define(set, (_options: CommonOptions, key: string, text: string) => {
    const value = parseJsonValue(text);
    if (value === undefined)
      return Promise.resolve(wrongUsage(`"${text.slice(0, 60)}" is not a JSON value; most settings are numbers.`));
    return withKey(cli, key, (link) => change(link, key, value));
  });
  const unset = command.command("unset <key>").description("go back to the default");
  cli.define(unset, (_options: CommonOptions, key: string) =>
    withKey(cli, key, (link) => change(link, key, settingAt(defaultSettings, key) ?? null)),
  );
}

function withKey(
  cli: Cli,
  key: string,
  body: (link: CoordinatorLink) => Promise<CommandResult>,
): Promise<CommandResult> {
  return keys.includes(key) ? withCheckedLink(cli, body) : Promise.resolve(wrongUsage(unknownKeyText(key, keys)));
}

function parseJsonValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function list(cli: Cli, link: CoordinatorLink): Promise<CommandResult> {
  const found = await link.call("settings.get", {});
  if (!found.ok) return found;
  const { settings } = found.value;
  const rows = keys.map((key) => [key, formatSetting(settings, key), formatSetting(defaultSettings, key)]);
  const text = rows.map(([key = "", value = "", usual = ""]) => [
    key,
    value,
    value === usual ? "" : `default: ${usual}`,
  ]);
  return ok({ data: { settings, where: link.where }, text: table(text, cli.io.size().columns) });
}

function formatSetting(settings: Settings, key: string): string {
  return JSON.stringify(settingAt(settings, key)) ?? "none";
}

async function getOne(link: CoordinatorLink, key: string): Promise<CommandResult> {
  const found = await link.call("settings.get", {});
  if (!found.ok) return found;
  const value = settingAt(found.value.settings, key) ?? null;
  return ok({ data: { key, value }, text: `${value === null ? "none" : JSON.stringify(value)}\n` });
}

async function change(link: CoordinatorLink, key: string, value: unknown): Promise<CommandResult> {
  const settings = await toChanges(link, key, value);
  if (!settings.ok) return settings;
  const done = await link.call("settings.set", { settings: settings.value });
  if (!done.ok) return needsAdmin(link, "Changing settings", done);
  const now = settingAt(done.value.settings, key) ?? null;
  return ok({ data: { key, value: now }, text: `${key} is ${now === null ? "none" : JSON.stringify(now)}\n` });
}

/** Groups are replaced as a whole, so the rest is sent too; budgets alone are merged. */
async function toChanges(link: CoordinatorLink, key: string, value: unknown) {
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
