import { limitRules } from "../../contract/at-limit.ts";
import { defaults, type Config } from "../../contract/config.ts";
import type { Json } from "../../contract/json.ts";
import { editConfig } from "../../installer/edit-config.ts";
import { readConfig } from "../../platform/config-file.ts";
import { err, ok } from "../../shared/result.ts";
import { listKeys, settingAt } from "../../shared/setting-keys.ts";
import { unknownKeyText } from "../../shared/close-words.ts";
import { limitProblems } from "../../machine/usage/at-limit.ts";
import type { Handlers, OperationContext, OperationResult } from "../../machine/operations/operation-context.ts";
import { runningHost } from "../host-client/host-client.ts";
import type { installationOperations } from "../../contract/machine/installation.ts";

export const installationHandlers: Pick<Handlers, Exclude<keyof typeof installationOperations, "checks.run">> = {
  "config.show"({ paths }) {
    const config = readCurrent(paths.config);
    if (!config.ok) return config;
    return ok({ path: paths.config, config: { ...config.value } });
  },
  "config.get"({ paths }, { key }) {
    const config = readCurrent(paths.config);
    if (!config.ok) return config;
    const value = settingAt(config.value, key) as Json | undefined;
    return value === undefined ? unknownKey(key) : ok({ key, value });
  },
  "config.set": ({ paths, site }, { key, value }) => change(paths, key, value, site.env),
  "config.unset": ({ paths }, { key }) => change(paths, key, undefined),
  "host.status": (context) => runningHost(context, "GET", "/status"),
  "host.stop": (context) => runningHost(context, "POST", "/stop"),
};

function readCurrent(path: string): OperationResult<Config> {
  const read = readConfig(path);
  if (read.ok) return read;
  return err({
    code: "config_invalid",
    message: `${read.error}\nCorrect the file; until then the defaults apply and nothing is changed.`,
  });
}

function change(
  { config: path }: OperationContext["paths"],
  key: string,
  value: Json | undefined,
  env: NodeJS.ProcessEnv = {},
): OperationResult<{ key: string; value: Json }> {
  if (settingAt(defaults, key) === undefined) return unknownKey(key);
  const rules = key === "atLimit" ? limitRules().safeParse(value) : null;
  const [problem] = rules?.success ? limitProblems(rules.data, env) : [];
  if (problem !== undefined) return err({ code: "bad_input", message: `atLimit: ${problem}\nNothing was changed.` });
  const edited = editConfig(path, key, value);
  if (edited.ok) return ok({ key, value: settingAt(edited.value, key) as Json });
  const before = readCurrent(path);
  return before.ok ? err({ code: "bad_input", message: `${edited.error}\nNothing was changed.` }) : before;
}

function unknownKey(key: string): OperationResult<never> {
  return err({ code: "bad_input", message: unknownKeyText(key, listKeys(defaults)) });
}
