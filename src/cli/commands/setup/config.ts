import type { Command } from "commander";
import { defaults, type Config } from "../../../contract/config.ts";
import { ok } from "../../../shared/result.ts";
import { editConfig } from "../../../installer/edit-config.ts";
import { readConfig } from "../../../platform/config-file.ts";
import { failed, wrongUsage, type CliResult } from "../../answer.ts";
import { listKeys, settingAt } from "../../../shared/setting-keys.ts";
import { unknownKey } from "../../setting-keys.ts";
import { parseJsonOrText } from "../../task-input.ts";
import { channelsOf } from "../care/channel-checks.ts";
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

/** [CL182] */
async function warnOfChannels(cli: Cli, { notify }: Config): Promise<void> {
  for (const { state, text, fix } of await channelsOf(cli, notify))
    if (state === "warn") cli.progress(`${text}. ${fix}`);
}

async function change(cli: Cli, key: string, value: unknown): Promise<CommandResult> {
  if (settingAt(defaults, key) === undefined) return unknownKey(key, listKeys(defaults));
  const edited = editConfig(cli.paths.config, key, value);
  if (!edited.ok) {
    const before = readCurrent(cli);
    return before.ok ? wrongUsage(`${edited.error}\nNothing was changed.`) : before;
  }
  const newValue = settingAt(withoutToken(edited.value), key);
  if (value !== undefined && key.startsWith("notify")) await warnOfChannels(cli, edited.value);
  return ok({ data: { key, value: newValue }, text: `${key} is ${JSON.stringify(newValue)}\n` });
}
