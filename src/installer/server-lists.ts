import { isDeepStrictEqual } from "node:util";
import type { ServerForm } from "../clients/client-files.ts";
import type { Launch } from "../platform/launch.ts";
import type { JsonObject } from "../shared/json-fields.ts";
import { isOurServer, parseCommand, serverCommand, serverName, type Command } from "./entries.ts";
import { objectAt, objectIn, type Settings } from "./settings.ts";

/** The MCP servers in a client's file. */

/** Names of SHIM's entries. */
export function ourServers(root: JsonObject, { key }: ServerForm): string[] {
  return Object.entries(objectAt(root, [key])).flatMap(([name, entry]) => (isOurServer(entry) ? [name] : []));
}

/** Whether another server has the name, and none of SHIM's is there under another one. */
export function isNameTaken(root: JsonObject, form: ServerForm): boolean {
  return objectAt(root, [form.key])[serverName] !== undefined && ourServers(root, form).length === 0;
}

/** [IN5] An existing entry keeps its name and the user's additions, such as `env`. */
export function addServer(root: Settings, form: ServerForm, launch: Launch): void {
  const expected = serverCommand(launch);
  const servers = objectIn(root, form.key);
  const [first, ...others] = ourServers(root, form);
  for (const name of others) delete servers[name];
  if (first === undefined) servers[serverName] = form.entry(expected.command, expected.args);
  else correctCommand(objectIn(servers, first), expected);
}

export function removeServers(root: Settings, form: ServerForm): void {
  for (const name of ourServers(root, form)) delete objectIn(root, form.key)[name];
}

export function correctCommand(entry: Settings, { command, args }: Command): void {
  if (isDeepStrictEqual(parseCommand(entry), { command, args })) return;
  // OpenCode has one list for the command and its arguments.
  if (Array.isArray(entry["command"])) entry["command"] = [command, ...args];
  else Object.assign(entry, { command }, args.length > 0 || entry["args"] !== undefined ? { args } : {});
}
