import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import { defaults, type Config } from "../../../contract/config.ts";
import { codeOf } from "../../../shared/error.ts";
import { ok } from "../../../shared/result.ts";
import { writeAtomically } from "../../../platform/private-files.ts";
import * as json from "../../../installer/json-text.ts";
import { parseConfig, readConfig } from "../../../platform/config-file.ts";
import { createPrivateFolder } from "../../../platform/private-files.ts";
import { failed, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";

export function addConfig(program: Command, cli: Cli): void {
  const command = program.command("config").description("show the settings; get, set, unset, path");
  cli.define(command, async () => show(cli));
  const get = command.command("get <key>").description("one setting, such as risk.levels.danger");
  cli.define(get, async (_options: CommonOptions, key: string) => getOne(cli, key));
  const set = command.command("set <key> <value>").description("change a setting; comments in the file stay");
  cli.define(set, async (_options: CommonOptions, key: string, value: string) => change(cli, key, parseValue(value)));
  const unset = command.command("unset <key>").description("go back to the default");
  cli.define(unset, async (_options: CommonOptions, key: string) => change(cli, key, undefined));
  const path = command.command("path").description("where the file is");
  cli.define(path, async () => ok({ data: { path: cli.paths.config }, text: `${cli.paths.config}\n` }));
}

function readCurrent(cli: Cli): CliResult<Config> {
  const read = readConfig(cli.paths.config);
  return read.ok
    ? read
    : failed("config_invalid", `${read.error}\nCorrect the file; until then the defaults hold and nothing is changed.`);
}

function show(cli: Cli): CommandResult {
  const config = readCurrent(cli);
  if (!config.ok) return config;
  return ok({
    data: { path: cli.paths.config, config: config.value },
    text: `${JSON.stringify(config.value, null, 2)}\n`,
  });
}

function getOne(cli: Cli, key: string): CommandResult {
  const config = readCurrent(cli);
  if (!config.ok) return config;
  const value = valueAt(config.value, key);
  if (value === undefined) return unknownKey(key);
  return ok({ data: { key, value }, text: `${typeof value === "string" ? value : JSON.stringify(value, null, 2)}\n` });
}

function unknownKey(key: string): CommandResult {
  return wrongUsage(
    `there is no setting "${key}". There are:\n${listKeys(defaults)
      .map((one) => `  ${one}`)
      .join("\n")}`,
  );
}

function valueAt(config: Config, key: string): unknown {
  let at: unknown = config;
  for (const part of key.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

function listKeys(value: unknown, before = ""): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [before];
  return Object.entries(value).flatMap(([name, inner]) => listKeys(inner, before === "" ? name : `${before}.${name}`));
}

/** Parses `0.5`, `true`, `["Bash"]` and `null` as JSON; anything else is a text. */
function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** [CL18] Writes only a file that stays valid; its comments stay. */
function change(cli: Cli, key: string, value: unknown): CommandResult {
  const path = cli.paths.config;
  const text = readText(path);
  const before = readCurrent(cli);
  if (!before.ok) return before;
  if (valueAt(defaults, key) === undefined) return unknownKey(key);
  const keys = key.split(".");
  const editedText = value === undefined ? json.remove(text, keys) : json.set(text, keys, value);
  const parsed = parseConfig(editedText.replace(/^\uFEFF/, ""), path);
  if (!parsed.ok) return wrongUsage(`${parsed.error.replace(`${path}: `, "")}\nNothing was changed.`);
  if (editedText !== text) {
    createPrivateFolder(dirname(path));
    // The file may be a link to settings kept elsewhere.
    writeAtomically(
      existsSync(path) ? realpathSync(path) : path,
      editedText.endsWith("\n") ? editedText : `${editedText}\n`,
      {
        mode: 0o600,
      },
    );
  }
  const newValue = valueAt(parsed.value, key);
  return ok({ data: { key, value: newValue }, text: `${key} is ${JSON.stringify(newValue)}\n` });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw error;
  }
}
