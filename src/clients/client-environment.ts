import type { HookClient } from "../contract/clients.ts";
import { adapterOf, supportedClients } from "./adapters.ts";

/**
 * Passes no credential of a coordinator, nothing of an outer client, and of the variables
 * that clients read only those of this one.
 *
 * @param names further variables that it gets
 */
export function clientEnvironment(
  client: HookClient,
  env: NodeJS.ProcessEnv,
  names: readonly string[],
  home: string,
): Record<string, string> {
  const extraNames = new Set(names);
  const own = adapterOf(client)?.variables.own(env) ?? [];
  const isPassed = (name: string): boolean => {
    if (extraNames.has(name)) return true;
    if (supportedClients.some(({ variables }) => variables.ofChat.test(name))) return false;
    return generalVariables.test(name) || own.some((variables) => variables.test(name));
  };
  const passed = Object.entries(env).filter((entry): entry is [string, string] => {
    const [name, value] = entry;
    return value !== undefined && isPassed(name);
  });
  return { ...Object.fromEntries(passed), SHIM_HOME: home };
}

const generalVariables = new RegExp(
  `^(${[
    "PATH|HOME|USER|LOGNAME|SHELL|TERM|TZ|LANG|LANGUAGE|LC_\\w+|TMPDIR|TEMP|TMP|XDG_\\w+|NO_COLOR|IS_SANDBOX",
    "https?_proxy|no_proxy|all_proxy|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS",
    "SystemRoot|SystemDrive|windir|ComSpec|PATHEXT|USERPROFILE|HOMEDRIVE|HOMEPATH|(Local)?AppData|Program(Files|Data)(\\(x86\\))?",
  ].join("|")})$`,
  "i",
);
