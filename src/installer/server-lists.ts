import { isRecord } from "../shared/json-fields.ts";
import type { Launch } from "../platform/launch.ts";
import { isOurServer, parseCommand, serverCommand, serverName } from "./entries.ts";
import * as json from "./json-text.ts";
import { removeIfEmptied, shapeProblem, updateCommand } from "./settings-edits.ts";
import * as toml from "./toml-text.ts";

/** The list of MCP servers in a client's file. Texts must be sound. */
export interface ServerList {
  /** In words; null for a sound text. */
  readonly problem: (text: string) => string | null;
  /** Names of SHIM's entries. */
  ours(text: string): string[];
  entry(text: string, name: string): unknown;
  /** [IN5] An existing entry keeps its name and the user's additions, such as `env`. */
  add(text: string, launch: Launch): string;
  /** @param original the file before SHIM */
  remove(text: string, original: string): string;
}

/** Whether another server has the name, and none of SHIM's is there under another one. */
export function isNameTaken(list: ServerList, text: string): boolean {
  return list.entry(text, serverName) !== undefined && list.ours(text).length === 0;
}

function namesOfOurs(servers: unknown): string[] {
  return isRecord(servers) ? Object.keys(servers).filter((name) => isOurServer(servers[name])) : [];
}

interface JsonServers {
  readonly key?: string;
  readonly entry?: (command: string, args: readonly string[]) => object;
}

export function jsonServers({
  key = "mcpServers",
  entry: entryOf = (command, args) => ({ command, args }),
}: JsonServers = {}): ServerList {
  const ours = (text: string): string[] => namesOfOurs(json.valueAt(text, [key]));
  return {
    problem: (text) => shapeProblem(text) ?? listProblem(text, key),
    ours,
    entry: (text, name) => json.valueAt(text, [key, name]),
    add(text, launch) {
      const expected = serverCommand(launch);
      const [first, ...others] = ours(text);
      if (first === undefined) return json.set(text, [key, serverName], entryOf(expected.command, expected.args));
      const single = others.reduce((rest, name) => json.remove(rest, [key, name]), text);
      // OpenCode has one list for the command and its arguments.
      if (!Array.isArray(json.valueAt(single, [key, first, "command"])))
        return updateCommand(single, [key, first], expected);
      const words = [expected.command, ...expected.args];
      const isSame = JSON.stringify(json.valueAt(single, [key, first, "command"])) === JSON.stringify(words);
      return isSame ? single : json.set(single, [key, first, "command"], words);
    },
    remove(text, original) {
      const rest = ours(text).reduce((left, name) => json.remove(left, [key, name]), text);
      return rest === text ? text : removeIfEmptied(rest, [key], original);
    },
  };
}

function listProblem(text: string, key: string): string | null {
  const value = json.valueAt(text, [key]);
  if (value === undefined || isRecord(value)) return null;
  return `has an unexpected "${key}". Correct it and try again; nothing was changed.`;
}

export const tomlServers: ServerList = {
  problem(text) {
    const syntax = toml.findProblem(text);
    if (syntax !== null) return `${syntax}. Correct it and try again; nothing was changed.`;
    const servers = toml.valueAt(text, [tomlKey]);
    const isSound = servers === undefined || isRecord(servers);
    return isSound ? null : `has an unexpected "${tomlKey}". Correct it and try again; nothing was changed.`;
  },
  ours: (text) => namesOfOurs(toml.valueAt(text, [tomlKey])),
  entry: (text, name) => toml.valueAt(text, [tomlKey, name]),
  add(text, launch) {
    const expected = serverCommand(launch);
    const [first, ...others] = tomlServers.ours(text);
    if (first === undefined) return toml.addTable(text, [tomlKey, serverName], expected);
    const single = others.reduce((rest, name) => toml.remove(rest, [tomlKey, name]), text);
    const found = parseCommand(toml.valueAt(single, [tomlKey, first]));
    const isSame = JSON.stringify([found?.command, found?.args]) === JSON.stringify(Object.values(expected));
    if (isSame) return single;
    const named = toml.set(single, [tomlKey, first, "command"], expected.command);
    return toml.set(named, [tomlKey, first, "args"], expected.args);
  },
  remove: (text) => tomlServers.ours(text).reduce((rest, name) => toml.remove(rest, [tomlKey, name]), text),
};

const tomlKey = "mcp_servers";
