import { defaults, type Config } from "../../contract/config.ts";
import type { Json } from "../../contract/json.ts";
import { editConfig } from "../../installer/edit-config.ts";
import { readConfig } from "../../platform/config-file.ts";
import { err, ok } from "../../shared/result.ts";
import { listKeys, settingAt } from "../../shared/setting-keys.ts";
import { unknownKeyText } from "../../shared/unknown-key.ts";
import type { Handlers, HostContext } from "./handlers.ts";
import type { HostResult } from "./host.ts";

export const configHandlers: Handlers<"config.show" | "config.get" | "config.set" | "config.unset"> = {
  "config.show"({ paths }) {
    const config = readCurrent(paths.config);
    if (!config.ok) return config;
    return ok({ path: paths.config, config: { ...printable(config.value) } });
  },
  "config.get"({ paths }, { key }) {
    const config = readCurrent(paths.config);
    if (!config.ok) return config;
    const value = settingAt(printable(config.value), key) as Json | undefined;
    return value === undefined ? unknownKey(key) : ok({ key, value });
  },
  "config.set": ({ paths }, { key, value }) => change(paths, key, value),
  "config.unset": ({ paths }, { key }) => change(paths, key, undefined),
};

function readCurrent(path: string): HostResult<Config> {
  const read = readConfig(path);
  if (read.ok) return read;
  return err({
    code: "config_invalid",
    message: `${read.error}\nCorrect the file; until then the defaults apply and nothing is changed.`,
  });
}

/** Printed settings may be shown to others. */
function printable(config: Config): Config {
  return config.telemetry ? { ...config, telemetry: { ...config.telemetry, token: "…" } } : config;
}

function change(
  { config: path }: HostContext["paths"],
  key: string,
  value: Json | undefined,
): HostResult<{ key: string; value: Json }> {
  if (settingAt(defaults, key) === undefined) return unknownKey(key);
  const edited = editConfig(path, key, value);
  if (edited.ok) return ok({ key, value: settingAt(printable(edited.value), key) as Json });
  const before = readCurrent(path);
  return before.ok ? err({ code: "bad_input", message: `${edited.error}\nNothing was changed.` }) : before;
}

function unknownKey(key: string): HostResult<never> {
  return err({ code: "bad_input", message: unknownKeyText(key, listKeys(defaults)) });
}
