import { dirname, join } from "node:path";
import { limitRules } from "../../contract/at-limit.ts";
import { defaults, type Config } from "../../contract/config.ts";
import type { Json } from "../../contract/json.ts";
import { editConfig } from "../../installer/edit-config.ts";
import { readConfig } from "../../platform/config-file.ts";
import { err, ok } from "../../shared/result.ts";
import { listKeys, settingAt } from "../../shared/setting-keys.ts";
import { unknownKeyText } from "../../shared/unknown-key.ts";
import { limitProblems } from "../recovery/at-limit.ts";
import type { Handlers, HostContext, HostResult, HostSite } from "./host.ts";
import { runningHost } from "./machine-host.ts";
import type { installationOperations } from "../../contract/machine/installation.ts";
import { programFolder } from "../../installer/own-program.ts";
import { originOf, updateCommands, findRealPath } from "../../platform/shim-command.ts";
import { version } from "../../platform/version.ts";

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
  /** [IP5] The only operation that asks the network for a version; it installs nothing. */
  "updates.check"({ site, paths }) {
    const latest = askNpm(site);
    if (!latest.ok) return latest;
    const { script } = site.launch;
    const origin = originOf(findRealPath(script) ?? script, programFolder(paths.home));
    const isNewer = compareVersions(latest.value, version) > 0;
    return ok({ version, latest: latest.value, isNewer, command: updateCommands[origin] });
  },
  "host.status": (context) => runningHost(context, "GET", "/status"),
  "host.stop": (context) => runningHost(context, "POST", "/stop"),
};

function readCurrent(path: string): HostResult<Config> {
  const read = readConfig(path);
  if (read.ok) return read;
  return err({
    code: "config_invalid",
    message: `${read.error}\nCorrect the file; until then the defaults apply and nothing is changed.`,
  });
}

function change(
  { config: path }: HostContext["paths"],
  key: string,
  value: Json | undefined,
  env: NodeJS.ProcessEnv = {},
): HostResult<{ key: string; value: Json }> {
  if (settingAt(defaults, key) === undefined) return unknownKey(key);
  const rules = key === "atLimit" ? limitRules().safeParse(value) : null;
  const [problem] = rules?.success ? limitProblems(rules.data, env) : [];
  if (problem !== undefined) return err({ code: "bad_input", message: `atLimit: ${problem}\nNothing was changed.` });
  const edited = editConfig(path, key, value);
  if (edited.ok) return ok({ key, value: settingAt(edited.value, key) as Json });
  const before = readCurrent(path);
  return before.ok ? err({ code: "bad_input", message: `${edited.error}\nNothing was changed.` }) : before;
}

function unknownKey(key: string): HostResult<never> {
  return err({ code: "bad_input", message: unknownKeyText(key, listKeys(defaults)) });
}

const question = ["view", "shim-mcp", "version", "--json", "--fetch-retries=0", "--fetch-timeout=10000"];

function askNpm({ launch, machine, runQuietly }: HostSite): HostResult<string> {
  // Windows starts npm by a script, which takes a shell; npm lies beside its Node.
  const beside = join(dirname(launch.node), "node_modules", "npm", "bin", "npm-cli.js");
  const ran = machine.exists(beside) ? runQuietly(launch.node, [beside, ...question]) : runQuietly("npm", question);
  if (ran === null)
    return err({
      code: "npm_missing",
      message: "npm was not found, and only npm is asked. Install it, or see npmjs.com.",
    });
  const latest = /"(\d+\.\d+\.\d+(?!\d)[^"\s]*)"/.exec(ran.code === 0 ? ran.text : "")?.[1];
  return latest === undefined ? failureOf(ran.text) : ok(latest);
}

function failureOf(text: string): HostResult<never> {
  if (/\bE404\b/.test(text))
    return err({ code: "not_published", message: "the registry that npm uses has no package shim-mcp." });
  if (/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED|ECONNRESET)\b/.test(text)) {
    const message = "npm does not reach its registry. Ask again with a connection; nothing else needs one.";
    return err({ code: "offline", message });
  }
  return err({ code: "npm_failed", message: `npm did not answer with a version: ${text.trim().slice(0, 300)}` });
}

/** By the numbers; a prerelease of the same numbers is not newer. */
function compareVersions(one: string, other: string): number {
  const [left = "", right = ""] = [one, other].map((text) => text.split(/[-+]/)[0]);
  return left.localeCompare(right, "en", { numeric: true });
}
