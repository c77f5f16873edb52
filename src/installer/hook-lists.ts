import { isDeepStrictEqual } from "node:util";
import type { HookHandler } from "../clients/client-files.ts";
import { hookEvents, type HookEvent } from "../contract/hook-input.ts";
import { hookToolGroups, isEventKnown, isHookToolEvent } from "../contract/hook-tool.ts";
import { shellHookOf, shellWord, type Launch } from "../platform/launch.ts";
import { isRecord, type JsonObject } from "../shared/json-fields.ts";
import { hookEntry, hookTimeout, isHookToolHandler, isOurHook, shell } from "./entries.ts";
import { correctCommand } from "./server-lists.ts";
import { listIn, objectIn, valueAt, type Settings } from "./settings.ts";

/** The hooks in a client's file. */

/** A hook of SHIM where it stands: in a group of handlers, or directly below its event. */
interface OurHook {
  readonly handler: Settings;
  /** The list that has the handler. */
  readonly siblings: unknown[];
  readonly group: Settings | null;
  /** Positions as the client counts them. */
  readonly at: readonly number[];
}

export function ourHooks(root: JsonObject, event: string): OurHook[] {
  const groups = valueAt(root, ["hooks", event]);
  if (!Array.isArray(groups)) return [];
  return groups.flatMap((group: unknown, at): OurHook[] => {
    const handlers = isRecord(group) ? group["hooks"] : undefined;
    if (isRecord(group) && Array.isArray(handlers))
      return handlers.flatMap((handler: unknown, index) =>
        isRecord(handler) && isOurHook(handler, event) ? [{ handler, siblings: handlers, group, at: [at, index] }] : [],
      );
    return isRecord(group) && isOurHook(group, event)
      ? [{ handler: group, siblings: groups, group: null, at: [at] }]
      : [];
  });
}

export function ourHandlers(root: JsonObject, event: string): Settings[] {
  return ourHooks(root, event).map(({ handler }) => handler);
}

export function removeHooks(root: Settings, events: readonly string[]): void {
  for (const event of events) for (const hook of ourHooks(root, event)) removeHook(root, event, hook);
}

/** A group goes with its last handler. */
function removeHook(root: Settings, event: string, { handler, siblings, group }: OurHook): void {
  siblings.splice(siblings.indexOf(handler), 1);
  const groups = listIn(objectIn(root, "hooks"), event);
  if (group !== null && siblings.length === 0) groups.splice(groups.indexOf(group), 1);
}

/** @param form `groups`: handlers stand in groups; `list`: directly below their event */
export function setHook(
  root: Settings,
  event: string,
  handler: HookHandler & { readonly args?: readonly string[] },
  form: "groups" | "list",
): void {
  const [first, ...others] = ourHooks(root, event);
  for (const hook of others) removeHook(root, event, hook);
  if (first) correctCommand(first.handler, { command: handler.command, args: handler.args ?? [] });
  // [IN32] Behind all others, whose position stays.
  else listIn(objectIn(root, "hooks"), event).push(form === "groups" ? { hooks: [handler] } : handler);
}

/** How Claude Code's hooks reach SHIM. */
export interface HookDelivery {
  /** Name of SHIM's MCP server, which gets tool events; null: each event starts a process. */
  readonly server: string | null;
  readonly version: string | null;
  readonly platform: NodeJS.Platform;
  /** [IN103] The client blocks a tool call that SHIM could not check. */
  readonly isBlocking: boolean;
}

export function supportedEvents({ version }: Pick<HookDelivery, "version">): HookEvent[] {
  return hookEvents.filter((event) => isEventKnown(event, version));
}

/** [IN5] [IN27] Sets Claude Code's hooks of each event; the user's own stay unchanged. */
export function setClaudeHooks(root: Settings, launch: Launch, delivery: HookDelivery): void {
  const { server, version, platform, isBlocking } = delivery;
  for (const event of hookEvents) {
    const hooks = ourHooks(root, event);
    const isKnown = isEventKnown(event, version);
    if (isKnown && server !== null && isHookToolEvent(event)) {
      const groups = hookToolGroups(event, server, isBlocking);
      if (
        isDeepStrictEqual(
          hooks.map(({ group }) => group),
          groups,
        )
      )
        continue;
      removeHooks(root, [event]);
      listIn(objectIn(root, "hooks"), event).push(...groups);
      continue;
    }
    for (const hook of hooks) if (!isKnown || isHookToolHandler(hook.handler)) removeHook(root, event, hook);
    const handler = { type: "command", ...hookEntry(launch, event, platform), timeout: hookTimeout(event) };
    if (isKnown) setHook(root, event, handler, "groups");
  }
}

/** [HO70] */
export function hookCommandLine(launch: Launch, platform: NodeJS.Platform, event: string, client: string): string {
  const { node, hookScript } = launch;
  const start =
    platform === "win32" ? [`"${node}"`, `"${hookScript}"`] : [shell, shellHookOf(launch), node].map(shellWord);
  return [...start, event, "--client", client].join(" ");
}
