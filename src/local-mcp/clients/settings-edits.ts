import { hookEvents } from "../../contract/hook-input.ts";
import type { Client } from "./targets.ts";
import {
  commandIn,
  hookCommand,
  hookTimeout,
  isOurHook,
  isOurServer,
  isOurStatusLine,
  isRecord,
  serverCommand,
  serverName,
  type Launch,
} from "./entries.ts";
import * as json from "./json-text.ts";

/** Text in, text out: SHIM's entries put into a client's settings and taken out again. `shapeProblem` comes first. */

/** Syntax, and the shape of what SHIM would edit; null when all is as expected. */
export function shapeProblem(text: string): string | null {
  const syntax = json.problemIn(text);
  if (syntax) return `${syntax}. Correct it and try again; nothing was changed.`;
  const wrong = wrongShape(text);
  return wrong && `has an unexpected "${wrong}". Correct it and try again; nothing was changed.`;
}

function wrongShape(text: string): string | null {
  for (const key of ["mcpServers", "hooks"]) {
    const value = json.valueAt(text, [key]);
    if (value !== undefined && !isRecord(value)) return key;
  }
  for (const event of hookEvents) {
    const value = json.valueAt(text, ["hooks", event]);
    if (value !== undefined && !Array.isArray(value)) return `hooks.${event}`;
  }
  return null;
}

/** Names of the servers that are SHIM, whatever the user calls them. */
export function ourServers(text: string): string[] {
  const servers = json.valueAt(text, ["mcpServers"]);
  if (!isRecord(servers)) return [];
  return Object.keys(servers).filter((name) => isOurServer(servers[name]));
}

/** Another program that goes by SHIM's name. */
export function isNameTaken(text: string): boolean {
  const holder = json.valueAt(text, ["mcpServers", serverName]);
  return holder !== undefined && !isOurServer(holder);
}

/** [IN5] An entry that is there keeps its name and what the user added to it, such as `env`. */
export function addServer(text: string, client: Client, launch: Launch): string {
  const wanted = serverCommand(launch);
  const [first, ...others] = ourServers(text);
  if (first === undefined) {
    const entry = client === "claude-code" ? { type: "stdio", ...wanted } : wanted;
    return json.set(text, ["mcpServers", serverName], entry);
  }
  const single = others.reduce((rest, name) => json.remove(rest, ["mcpServers", name]), text);
  return setCommand(single, ["mcpServers", first], wanted);
}

export function removeServers(text: string, original: string): string {
  const rest = ourServers(text).reduce((rest, name) => json.remove(rest, ["mcpServers", name]), text);
  return rest === text ? text : removeIfEmptied(rest, ["mcpServers"], original);
}

/** Where SHIM's handlers stand under an event: the matcher's group and the place in it. */
export function ourHooks(text: string, event: string): { group: number; handler: number }[] {
  const groups = json.valueAt(text, ["hooks", event]);
  if (!Array.isArray(groups)) return [];
  return groups.flatMap((group: unknown, at) => {
    if (!isRecord(group) || !Array.isArray(group["hooks"])) return [];
    const places = group["hooks"].map((handler: unknown, index) => ({ handler, index }));
    return places
      .filter(({ handler }) => isOurHook(handler, event))
      .map(({ index }) => ({ group: at, handler: index }));
  });
}

/** [IN5] One handler for each event; one that is there is corrected in its place, the user's own are not touched. */
export function addHooks(text: string, launch: Launch): string {
  return hookEvents.reduce((rest, event) => {
    const [first, ...others] = ourHooks(rest, event);
    const wanted = hookCommand(launch, event);
    if (!first) {
      const handler = { type: "command", ...wanted, timeout: hookTimeout(event) };
      return json.append(rest, ["hooks", event], { hooks: [handler] });
    }
    const single = removeHandlers(rest, event, others);
    return setCommand(single, ["hooks", event, first.group, "hooks", first.handler], wanted);
  }, text);
}

export function removeHooks(text: string, original: string): string {
  const rest = hookEvents.reduce((rest, event) => {
    const found = ourHooks(rest, event);
    if (found.length === 0) return rest;
    const without = removeHandlers(rest, event, found);
    return removeIfEmptied(without, ["hooks", event], original);
  }, text);
  return rest === text ? text : removeIfEmptied(rest, ["hooks"], original);
}

/** Last first, so that the places before stay true. */
function removeHandlers(text: string, event: string, places: readonly { group: number; handler: number }[]): string {
  return places.reduceRight((rest, { group, handler }) => {
    const without = json.remove(rest, ["hooks", event, group, "hooks", handler]);
    const left = json.valueAt(without, ["hooks", event, group, "hooks"]);
    const isEmptied = Array.isArray(left) && left.length === 0;
    return isEmptied ? json.remove(without, ["hooks", event, group]) : without;
  }, text);
}

/** What stands in the client's one place for a status line. */
export type StatusLine =
  | { readonly kind: "none" | "ours" | "unknown" }
  | { readonly kind: "other"; readonly command: string };

export function statusLineIn(text: string): StatusLine {
  const value = json.valueAt(text, ["statusLine"]);
  if (value === undefined) return { kind: "none" };
  if (isOurStatusLine(value)) return { kind: "ours" };
  if (!isRecord(value) || value["type"] !== "command") return { kind: "unknown" };
  const { command } = value;
  return typeof command === "string" ? { kind: "other", command } : { kind: "unknown" };
}

/** The user's padding and other wishes for the line stay. */
export function setStatusLine(text: string, command: string): string {
  if (statusLineIn(text).kind === "none") return json.set(text, ["statusLine"], { type: "command", command });
  if (json.valueAt(text, ["statusLine", "command"]) === command) return text;
  return json.set(text, ["statusLine", "command"], command);
}

/** The user's command comes back, or, without one, the place is freed. A line that is not SHIM's stays. */
export function restoreStatusLine(text: string, command: string | null): string {
  if (statusLineIn(text).kind !== "ours") return text;
  return command === null ? json.remove(text, ["statusLine"]) : json.set(text, ["statusLine", "command"], command);
}

function setCommand(text: string, path: json.JsonPath, wanted: { command: string; args: string[] }): string {
  const found = commandIn(json.valueAt(text, path));
  const isSameCommand = found?.command === wanted.command;
  const isSameArgs = found !== null && JSON.stringify(found.args) === JSON.stringify(wanted.args);
  const named = isSameCommand ? text : json.set(text, [...path, "command"], wanted.command);
  return isSameArgs ? named : json.set(named, [...path, "args"], wanted.args);
}

/** A container that SHIM's entries leave empty goes with them, unless the user had it before or wrote a comment into it. */
function removeIfEmptied(text: string, path: json.JsonPath, original: string): string {
  const isShims = json.isBareAt(text, path) && json.valueAt(original, path) === undefined;
  return isShims ? json.remove(text, path) : text;
}
