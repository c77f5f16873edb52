import { isRecord } from "../shared/json-fields.ts";
import { hookEvents, type HookEvent } from "../contract/hook-input.ts";
import { hookToolGroups, isEventKnown, isHookToolEvent } from "../contract/hook-tool.ts";
import {
  type Command,
  parseCommand,
  hookEntry,
  hookTimeout,
  isHookToolHandler,
  isOurHook,
  isOurStatusLine,
} from "./entries.ts";
import type { Launch } from "../platform/launch.ts";
import * as json from "./json-text.ts";
import type { HookHandler } from "../clients/client-files.ts";

export function shapeProblem(text: string, events: readonly string[] = hookEvents): string | null {
  const syntax = json.findProblem(text);
  if (syntax) return `${syntax}. Correct it and try again; nothing was changed.`;
  const wrong = findShapeProblem(text, events);
  return wrong && `has an unexpected "${wrong}". Correct it and try again; nothing was changed.`;
}

function findShapeProblem(text: string, events: readonly string[]): string | null {
  for (const key of ["mcpServers", "hooks", "env"]) {
    const value = json.valueAt(text, [key]);
    if (value !== undefined && !isRecord(value)) return key;
  }
  for (const event of events) {
    const value = json.valueAt(text, ["hooks", event]);
    if (value !== undefined && !Array.isArray(value)) return `hooks.${event}`;
  }
  return null;
}

export interface HookDelivery {
  /** Name of SHIM's MCP server, which gets tool events; null: each event starts a process. */
  readonly server: string | null;
  readonly version: string | null;
  readonly platform: NodeJS.Platform;
  /** [IN103] The client blocks a tool call that SHIM could not check. */
  readonly isBlocking: boolean;
}

export function supportedEvents({ version }: HookDelivery): HookEvent[] {
  return hookEvents.filter((event) => isEventKnown(event, version));
}

export function isInEveryVersion(event: string): boolean {
  return hookEvents.some((known) => known === event && isEventKnown(known, null));
}

export function ourHooks(text: string, event: string): HookPosition[] {
  const groups = json.valueAt(text, ["hooks", event]);
  if (!Array.isArray(groups)) return [];
  return groups.flatMap((group: unknown, at) => {
    if (!isRecord(group) || !Array.isArray(group["hooks"])) return [];
    return group["hooks"].flatMap((handler: unknown, index) =>
      isOurHook(handler, event) ? [{ group: at, handler: index }] : [],
    );
  });
}

export function ourHandlers(text: string, event: string): unknown[] {
  return ourHooks(text, event).map((hook) => json.valueAt(text, handlerPath(event, hook)));
}

interface HookPosition {
  readonly group: number;
  readonly handler: number;
}

function handlerPath(event: string, { group, handler }: HookPosition): json.JsonPath {
  return ["hooks", event, group, "hooks", handler];
}

/** [IN5] Sets one hook for each event; the user's own stay unchanged. */
export function addHooks(text: string, launch: Launch, delivery: HookDelivery): string {
  return hookEvents.reduce((rest, event) => {
    if (!isEventKnown(event, delivery.version)) return withoutHooks(rest, event, "");
    return delivery.server !== null && isHookToolEvent(event)
      ? withToolHook(rest, event, hookToolGroups(event, delivery.server, delivery.isBlocking))
      : withProcessHook(rest, event, launch, delivery.platform);
  }, text);
}

/** [IN27] Sets one group for each matcher and removes SHIM's process hook. */
function withToolHook(text: string, event: HookEvent, expected: readonly object[]): string {
  const found = ourHooks(text, event).map(({ group }) => json.valueAt(text, ["hooks", event, group]));
  if (JSON.stringify(found) === JSON.stringify(expected)) return text;
  const without = removeHandlers(text, event, ourHooks(text, event));
  return expected.reduce<string>((rest, group) => json.append(rest, ["hooks", event], group), without);
}

function withProcessHook(text: string, event: HookEvent, launch: Launch, platform: NodeJS.Platform): string {
  const tools = ourHooks(text, event).filter((hook) => isHookToolHandler(json.valueAt(text, handlerPath(event, hook))));
  const rest = removeHandlers(text, event, tools);
  return withHandler(rest, event, {
    type: "command",
    ...hookEntry(launch, event, platform),
    timeout: hookTimeout(event),
  });
}

export interface Handler extends HookHandler {
  readonly args?: readonly string[];
}

/** [IN5] A new one has a group of its own behind all others; an old one stays where it is. */
export function withHandler(text: string, event: string, handler: Handler): string {
  const { command, args } = handler;
  const [first, ...others] = ourHooks(text, event);
  if (!first) return json.append(text, ["hooks", event], { hooks: [handler] });
  const single = removeHandlers(text, event, others);
  return updateCommand(single, handlerPath(event, first), { command, args: args ?? [] });
}

/** A line for a person. */
export function hooksSummary(
  before: string,
  after: string,
  events: readonly string[] = hookEvents,
  handlers: (text: string, event: string) => readonly unknown[] = ourHandlers,
): string {
  const had = events.filter((event) => handlers(before, event).length > 0);
  const added = events.filter((event) => !had.includes(event) && handlers(after, event).length > 0);
  const parts = [added.length > 0 && `adds hooks for ${added.join(", ")}`, had.length > 0 && "corrects SHIM's hooks"];
  return parts.filter((part) => part !== false).join("; ");
}

export function removeHooks(text: string, original: string, events: readonly string[] = hookEvents): string {
  const rest = events.reduce((rest, event) => withoutHooks(rest, event, original), text);
  return rest === text ? text : removeIfEmptied(rest, ["hooks"], original);
}

function withoutHooks(text: string, event: string, original: string): string {
  const found = ourHooks(text, event);
  return found.length === 0 ? text : removeIfEmptied(removeHandlers(text, event, found), ["hooks", event], original);
}

/** Removes the last first, so that earlier indexes stay valid. */
function removeHandlers(text: string, event: string, handlers: readonly HookPosition[]): string {
  return handlers.reduceRight((rest, hook) => {
    const without = json.remove(rest, handlerPath(event, hook));
    const group = ["hooks", event, hook.group];
    const left = json.valueAt(without, [...group, "hooks"]);
    return Array.isArray(left) && left.length === 0 ? json.remove(without, group) : without;
  }, text);
}

export function blocksUnchecked(text: string): boolean {
  return ourHandlers(text, "PreToolUse").some((handler) => isRecord(handler) && handler["onFailure"] === "block");
}

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

/** Restores the to-do tools, which Claude Code 2.1.233 and later omit for the newest models. */
const todoTools = ["env", "CLAUDE_CODE_ENABLE_TODO_TOOLS"];

export function isTodoToolsSet(text: string): boolean {
  return json.valueAt(text, todoTools) !== undefined;
}

export function enableTodoTools(text: string): string {
  return isTodoToolsSet(text) ? text : json.set(text, todoTools, "1");
}

export function removeTodoTools(text: string, original: string): string {
  return json.valueAt(text, todoTools) === "1"
    ? removeIfEmptied(json.remove(text, todoTools), ["env"], original)
    : text;
}

export function setStatusLine(text: string, command: string): string {
  if (statusLineIn(text).kind === "none") return json.set(text, ["statusLine"], { type: "command", command });
  if (json.valueAt(text, ["statusLine", "command"]) === command) return text;
  return json.set(text, ["statusLine", "command"], command);
}

export function restoreStatusLine(text: string, command: string | null): string {
  if (statusLineIn(text).kind !== "ours") return text;
  return command === null ? json.remove(text, ["statusLine"]) : json.set(text, ["statusLine", "command"], command);
}

export function updateCommand(text: string, path: json.JsonPath, expected: Command): string {
  const found = parseCommand(json.valueAt(text, path));
  const isSameCommand = found?.command === expected.command;
  const isSameArgs = found !== null && JSON.stringify(found.args) === JSON.stringify(expected.args);
  const named = isSameCommand ? text : json.set(text, [...path, "command"], expected.command);
  return isSameArgs ? named : json.set(named, [...path, "args"], expected.args);
}

/** Keeps an emptied container that the user had before or that contains a comment. */
export function removeIfEmptied(text: string, path: json.JsonPath, original: string): string {
  const isShims = json.isEmptyAt(text, path) && json.valueAt(original, path) === undefined;
  return isShims ? json.remove(text, path) : text;
}
