import type { ClientFiles } from "../clients/client-files.ts";
import { hookEvents } from "../contract/hook-input.ts";
import { blockingSince, canBlock, hasHookTool } from "../contract/hook-tool.ts";
import type { JsonObject } from "../shared/json-fields.ts";
import { allowRules, pluginServer } from "./allow-rules.ts";
import { statusLinePart, todoToolsPart } from "./claude-settings.ts";
import { formOf, type ClientForm } from "./client-forms.ts";
import { serverName } from "./entries.ts";
import type { Entry, Part, PlanContext, SettingsFile } from "./file-edits.ts";
import {
  hookCommandLine,
  ourHandlers,
  removeHooks,
  setClaudeHooks,
  setHook,
  supportedEvents,
  type HookDelivery,
} from "./hook-lists.ts";
import { enabledPlugins } from "./plugins.ts";
import { addServer, ourServers, removeServers } from "./server-lists.ts";
import { objectAt, valueAt } from "./settings.ts";
import type { ClientTarget } from "./targets.ts";
import { telemetryPart } from "./telemetry-settings.ts";
import { trustEntry } from "./trust-entries.ts";

/** The settings of a client; null: it has no such file, or one that is SHIM's alone. */
export interface ClientSettings {
  readonly servers: SettingsFile;
  readonly settings: SettingsFile | null;
  /** SHIM's own, where it keeps what it has replaced in the settings. */
  readonly config: SettingsFile | null;
}

/** All that SHIM has in the settings of a client. */
export function entriesOf(target: ClientTarget, files: ClientSettings, context: PlanContext): Part {
  const form = formOf(target.client);
  const { servers, settings, config } = files;
  if (settings !== null && config !== null) return claudeCode(target, { servers, settings, config }, context);
  const entries = [serverEntry(servers, form, context), ...rulesEntries(servers, form, context)];
  if (settings === null || form.hooks === null || form.hooks.form === "own") return { entries, notes: [] };
  entries.push(hooksEntry(settings, target, form.hooks, context));
  if (target.client === "codex") entries.push(trustEntry(servers, settings, form.events));
  return { entries, notes: [] };
}

/** [IN7] The plugin brings the server and the hooks. */
function claudeCode(
  target: ClientTarget,
  files: Record<keyof ClientSettings, SettingsFile>,
  context: PlanContext,
): Part {
  const form = formOf(target.client);
  const { servers, settings, config } = files;
  const plugins = enabledPlugins(settings.root);
  const isPlugin = plugins.length > 0;
  const server = serverNameIn(servers.root, form);
  const wantsBlocking = asksToBlock(config.root);
  const delivery = hookDelivery(servers.root, context.claudeVersion, target.platform, wantsBlocking);
  const line = statusLinePart(settings, config, target.platform, context);
  const telemetry = telemetryPart(settings, config, context.telemetry);
  const todoTools = todoToolsPart(settings, config, context);
  const own = [serverEntry(servers, form, context), claudeHooksEntry(settings, delivery, context)];
  const notes = [
    ...(isPlugin
      ? [`The plugin ${plugins.join(", ")} provides the MCP server and the hooks; only the status line is set.`]
      : []),
    ...telemetry.notes,
    ...line.notes,
    ...(context.claudeVersion === null ? [versionNote] : []),
    ...todoTools.notes,
    ...(wantsBlocking && (isPlugin || !delivery.isBlocking) ? [notBlocking(isPlugin)] : []),
  ];
  const entries = [
    ...(isPlugin ? own.map(byPlugin) : own),
    ...[telemetry, line, todoTools].flatMap((part) => part.entries),
    ...[server, pluginServer].map((name) =>
      rulesEntry(settings, "list", name, context.allowsTools === true && isPlugin === (name === pluginServer)),
    ),
  ];
  return { entries, notes };
}

function byPlugin({ file, remove }: Entry): Entry {
  return { file, remove, add: { ...remove, says: `${remove.says}, which the plugin provides` } };
}

function serverEntry(file: SettingsFile, { servers }: ClientForm, { launch }: PlanContext): Entry {
  const verb = ourServers(file.root, servers).length > 0 ? "corrects" : "adds";
  return {
    file,
    add: { says: `${verb} the MCP server "${serverName}"`, apply: (root) => addServer(root, servers, launch) },
    remove: { says: "removes the MCP server", apply: (root) => removeServers(root, servers) },
  };
}

/** [IN91] Beside the servers. */
function rulesEntries(file: SettingsFile, form: ClientForm, { allowsTools }: PlanContext): Entry[] {
  if (form.rules === undefined) return [];
  return [rulesEntry(file, form.rules, serverNameIn(file.root, form), allowsTools === true)];
}

function rulesEntry(file: SettingsFile, kind: keyof typeof allowRules, server: string, isAdded: boolean): Entry {
  const rules = allowRules[kind];
  const says = "allows SHIM's tools that only read or save, without a question";
  return {
    file,
    add: isAdded ? { says, apply: (root) => rules.add(root, server) } : null,
    remove: {
      says: "removes the rules for SHIM's tools",
      apply: (root, original) => rules.remove(root, server, original),
    },
  };
}

type SharedHooks = Exclude<ClientFiles["hooks"], { form: "own" }>;

function hooksEntry(
  file: SettingsFile,
  { client, platform }: ClientTarget,
  { form, handler }: SharedHooks,
  { launch }: PlanContext,
): Entry {
  const { events } = formOf(client);
  return {
    file,
    add: {
      says: hooksSummary(file.root, events, events),
      apply(root) {
        if (form === "list") root["version"] ??= 1;
        for (const event of events)
          setHook(root, event, handler(hookCommandLine(launch, platform, event, client), event), form);
      },
    },
    remove: {
      says: "removes the hooks",
      apply(root, original) {
        if (events.every((event) => ourHandlers(root, event).length === 0)) return;
        removeHooks(root, events);
        const isLeft = Object.values(objectAt(root, ["hooks"])).some((one) => !Array.isArray(one) || one.length > 0);
        if (form === "list" && original["version"] === undefined && !isLeft) delete root["version"];
      },
    },
  };
}

function claudeHooksEntry(file: SettingsFile, delivery: HookDelivery, { launch }: PlanContext): Entry {
  return {
    file,
    add: {
      says: hooksSummary(file.root, hookEvents, supportedEvents(delivery)),
      apply: (root) => setClaudeHooks(root, launch, delivery),
    },
    remove: { says: "removes the hooks", apply: (root) => removeHooks(root, hookEvents) },
  };
}

/** @param known events for which there may be hooks */
function hooksSummary(root: JsonObject, known: readonly string[], wanted: readonly string[]): string {
  const had = known.filter((event) => ourHandlers(root, event).length > 0);
  const added = wanted.filter((event) => !had.includes(event));
  return [
    ...(added.length > 0 ? [`adds hooks for ${added.join(", ")}`] : []),
    ...(had.length > 0 ? ["corrects SHIM's hooks"] : []),
  ].join("; ");
}

/** [IN20] [IN25] How the hooks reach SHIM in a Claude Code of this version. */
export function hookDelivery(
  servers: JsonObject,
  version: string | null,
  platform: NodeJS.Platform,
  wantsBlocking: boolean,
): HookDelivery {
  const server = hasHookTool(version) ? serverNameIn(servers, formOf("claude-code")) : null;
  return { server, version, platform, isBlocking: wantsBlocking && canBlock(version) };
}

/** @param config SHIM's config.json */
export function asksToBlock(config: JsonObject): boolean {
  return valueAt(config, ["team", "blockUnchecked"]) === true;
}

/** Why calls that SHIM could not check are not blocked, although the user asks for it. */
export function notBlocking(isPlugin: boolean): string {
  const why = isPlugin ? "the plugin's hooks cannot block" : `Claude Code ${blockingSince} or later is needed`;
  return `team.blockUnchecked has no effect: ${why}, so a tool call that SHIM could not check continues.`;
}

/** [IN25] */
const versionNote =
  "`claude` is not on the PATH, so the version of Claude Code is not known, and each event starts a process: hooks that every version has, but slower. With `claude` on the PATH `shim init` changes them.";

function serverNameIn(root: JsonObject, { servers }: ClientForm): string {
  return ourServers(root, servers)[0] ?? serverName;
}
