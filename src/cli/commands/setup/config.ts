import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import { defaults, type Config } from "../../../contract/config.ts";
import { codeOf } from "../../../shared/error.ts";
import { ok } from "../../../shared/result.ts";
import { writeAtomically, createPrivateFolder } from "../../../platform/private-files.ts";
import * as json from "../../../installer/json-text.ts";
import { parseConfig, readConfig } from "../../../platform/config-file.ts";
import { failed, wrongUsage, type CliResult } from "../../answer.ts";
import { listKeys, settingAt } from "../../../shared/setting-keys.ts";
import { unknownKey } from "../../setting-keys.ts";
import { parseJsonOrText } from "../../task-input.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";

export function addConfig(program: Command, cli: Cli): void {
  const command = program.command("config").description("show the settings; get, set, unset, path");
  cli.define(command, async () => show(cli));
  const get = command.command("get <key>").description("one setting, such as risk.levels.danger");
  cli.define(get, async (_options: CommonOptions, key: string) => getOne(cli, key));
  const set = command.command("set <key> <value>").description("change a setting; comments in the file stay");
  cli.define(set, async (_options: CommonOptions, key: string, value: string) =>
    change(cli, key, parseJsonOrText(value)),
  );
  const unset = command.command("unset <key>").description("go back to the default");
  cli.define(unset, async (_options: CommonOptions, key: string) => change(cli, key, undefined));
  const path = command.command("path").description("where the file is");
  cli.define(path, async () => ok({ data: { path: cli.paths.config }, text: `${cli.paths.config}\n` }));
}

function readCurrent(cli: Cli): CliResult<Config> {
  const read = readConfig(cli.paths.config);
  return read.ok
    ? read
    : failed(
        "config_invalid",
        `${read.error}\nCorrect the file; until then the defaults apply and nothing is changed.`,
      );
}

function show(cli: Cli): CommandResult {
  const config = readCurrent(cli);
  if (!config.ok) return config;
  return ok({
    data: { path: cli.paths.config, config: withoutToken(config.value) },
    text: `${JSON.stringify(withoutToken(config.value), null, 2)}\n`,
  });
}

/** Printed settings may be shown to others. */
function withoutToken(config: Config): Config {
  return config.telemetry ? { ...config, telemetry: { ...config.telemetry, token: "…" } } : config;
}

function getOne(cli: Cli, key: string): CommandResult {
  const config = readCurrent(cli);
  if (!config.ok) return config;
  const value = settingAt(withoutToken(config.value), key);
  if (value === undefined) return unknownKey(key, listKeys(defaults));
  return ok({ data: { key, value }, text: `${typeof value === "string" ? value : JSON.stringify(value, null, 2)}\n` });
}

/** [CL18] Writes only a file that stays valid; its comments stay. */
function change(cli: Cli, key: string, value: unknown): CommandResult {
  const path = cli.paths.config;
  const text = readText(path);
  const before = readCurrent(cli);
  if (!before.ok) return before;
  if (settingAt(defaults, key) === undefined) return unknownKey(key, listKeys(defaults));
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
  const newValue = settingAt(withoutToken(parsed.value), key);
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
