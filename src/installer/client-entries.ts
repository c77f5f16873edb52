import { formOf, type ClientForm, type SharedHooks } from "../clients/client-files.ts";
import { hookEvents } from "../contract/hook-input.ts";
import { blockingSince, canBlock, hasHookTool } from "../contract/hook-tool.ts";
import { findRealPath } from "../platform/shim-command.ts";
import { type JsonObject, isRecord } from "../shared/json-fields.ts";
import { installsOf } from "./apply.ts";
import {
  type HookDelivery,
  addServer,
  allowRules,
  hookCommandLine,
  isOurStatusLine,
  ourHandlers,
  ourHooks,
  ourServers,
  pluginServer,
  removeHooks,
  removeServers,
  serverName,
  setClaudeHooks,
  setHook,
  statusLineCommand,
  supportedEvents,
  enabledPlugins,
} from "./entries.ts";
import { type Change, type Entry, type Part, type PlanContext, type SettingsFile, keptEntry } from "./file-edits.ts";
import { json, objectAt, objectIn, valueAt } from "./settings.ts";
import type { ClientName, ClientTarget } from "./targets.ts";

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
  const entries = [serverEntry(servers, form, context)];
  // [IN91] Beside the servers.
  if (form.rules !== undefined)
    entries.push(rulesEntry(servers, form.rules, serverNameIn(servers.root, form), context.allowsTools === true));
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
  const own = [serverEntry(servers, form, context), claudeHooksEntry(settings, delivery, context)];
  const notes = [
    ...(isPlugin
      ? [`The plugin ${plugins.join(", ")} provides the MCP server and the hooks; only the status line is set.`]
      : []),
    ...line.notes,
    ...(context.claudeVersion === null ? [versionNote] : []),
    ...(wantsBlocking && (isPlugin || !delivery.isBlocking) ? [notBlocking(isPlugin)] : []),
  ];
  const entries = [
    ...(isPlugin
      ? own.map((one) => ({ ...one, add: { ...one.remove, says: `${one.remove.says}, which the plugin provides` } }))
      : own),
    ...line.entries,
    ...[server, pluginServer].map((name) =>
      rulesEntry(settings, "list", name, context.allowsTools === true && isPlugin === (name === pluginServer)),
    ),
  ];
  return { entries, notes };
}

function serverEntry(file: SettingsFile, { servers }: ClientForm, { launch }: PlanContext): Entry {
  const verb = ourServers(file.root, servers).length > 0 ? "corrects" : "adds";
  return {
    file,
    add: { says: `${verb} the MCP server "${serverName}"`, apply: (root) => addServer(root, servers, launch) },
    remove: { says: "removes the MCP server", apply: (root) => removeServers(root, servers) },
  };
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

function hooksEntry(
  file: SettingsFile,
  { client, platform }: ClientTarget,
  { handler }: SharedHooks,
  { launch }: PlanContext,
): Entry {
  const { events } = formOf(client);
  return {
    file,
    add: {
      says: hooksSummary(file.root, events, events),
      apply(root) {
        for (const event of events)
          setHook(root, event, handler(hookCommandLine(launch, platform, event, client), event));
      },
    },
    remove: {
      says: "removes the hooks",
      apply: (root) => removeHooks(root, events),
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

const versionNote =
  "`claude` is not on the PATH, so the version of Claude Code is not known, and each event starts a process: hooks that every version has, but slower. With `claude` on the PATH `shim init` changes them.";

function serverNameIn(root: JsonObject, { servers }: ClientForm): string {
  return ourServers(root, servers)[0] ?? serverName;
}

/** Finds what SHIM cannot add its entries to, in words. */
export function shapeProblemOf(client: ClientName): (root: JsonObject) => string | null {
  const { servers, events } = formOf(client);
  return (root) => {
    const key = [servers.key, "hooks", "env"].find((name) => root[name] !== undefined && !isRecord(root[name]));
    const hooks = objectAt(root, ["hooks"]);
    const event = events.find((name) => hooks[name] !== undefined && !Array.isArray(hooks[name]));
    const wrong = key ?? (event === undefined ? null : `hooks.${event}`);
    return wrong && `has an unexpected "${wrong}"`;
  };
}

/**
 * [IN34] Trust in SHIM's hooks that Codex keeps in its config.toml, by the position of each
 * in the file of hooks.
 */
function trustEntry(file: SettingsFile, hooks: SettingsFile, events: readonly string[]): Entry {
  const keys = trustKeys(hooks, events);
  const says = "removes the trust in SHIM's hooks";
  return {
    file,
    add: null,
    remove: {
      says,
      apply(root) {
        const known = objectAt(root, ["hooks", "state"]);
        for (const key of keys) if (key in known) delete objectIn(objectIn(root, "hooks"), "state")[key];
      },
    },
  };
}

/** The path may have been written without its links. */
function trustKeys({ path, root }: SettingsFile, events: readonly string[]): string[] {
  const files = [...new Set([path, findRealPath(path) ?? path])];
  return events.flatMap((event) =>
    ourHooks(root, event).flatMap(({ at }) => {
      const snakeCase = event.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
      return files.map((file) => [file, snakeCase, ...at].join(":"));
    }),
  );
}

/** Claude Code's settings which SHIM sets beside the hooks. */

/** Longest command that config.json's `statusLine` accepts. */
const maxStatusLineChars = 2_000;

type StatusLine = { readonly kind: "none" | "ours" | "unknown" } | { readonly kind: "other"; readonly command: string };

function statusLineIn({ statusLine }: JsonObject): StatusLine {
  if (statusLine === undefined) return { kind: "none" };
  if (isOurStatusLine(statusLine)) return { kind: "ours" };
  if (!isRecord(statusLine) || statusLine["type"] !== "command") return { kind: "unknown" };
  const { command } = statusLine;
  return typeof command === "string" ? { kind: "other", command } : { kind: "unknown" };
}

/** [IN6] SHIM's status line, and the user's own in SHIM's config.json. */
function statusLinePart(
  settings: SettingsFile,
  config: SettingsFile,
  platform: NodeJS.Platform,
  context: PlanContext,
): Part {
  const line = statusLineIn(settings.root);
  const command = statusLineCommand(context.launch, platform);
  const problem = command === null ? unsafePath : findLineProblem(line);
  const own = problem === null && line.kind === "other" ? line.command : null;
  const before = lineBefore(settings, config, context);
  const added: Change = {
    says:
      own === null
        ? `${verbs[line.kind]} SHIM's status line`
        : `sets SHIM's status line, which runs yours first: ${own}`,
    apply(root) {
      root["statusLine"] ??= { type: "command" };
      objectIn(root, "statusLine")["command"] = command;
    },
  };
  const removed: Change = {
    says: before === null ? "removes SHIM's status line" : `restores your status line: ${before}`,
    apply(root) {
      if (statusLineIn(root).kind !== "ours") return;
      if (before === null) delete root["statusLine"];
      else objectIn(root, "statusLine")["command"] = before;
    },
  };
  const kept = own === null ? null : { value: own, says: "keeps your own status line" };
  const entries = [
    { file: settings, add: problem === null ? added : null, remove: removed },
    keptEntry(config, "statusLine", kept, (value) => before !== null && value === before),
  ];
  const { statusLine: old } = config.root;
  const isReplaced = own !== null && typeof old === "string" && old !== own;
  const notes = isReplaced ? [`SHIM's config.json held another status line, "${old}"; the newer one replaces it.`] : [];
  return { entries, notes: problem === null ? notes : [`The status line is left unchanged: ${problem}.`] };
}

const unsafePath = "a path of SHIM holds quotes that the shells of Windows read differently";
const verbs = { ours: "corrects", none: "sets", other: "sets", unknown: "sets" } as const;

function findLineProblem(line: StatusLine): string | null {
  if (line.kind === "unknown") return 'it is not of type "command"';
  const isTooLong = line.kind === "other" && line.command.length > maxStatusLineChars;
  return isTooLong ? `it is longer than ${maxStatusLineChars} characters` : null;
}

/**
 * Finds the status line before SHIM's, or one put into SHIM's config.json since. A command that was
 * there before SHIM, without a status line, does not count.
 */
function lineBefore(settings: SettingsFile, config: SettingsFile, { backups }: PlanContext): string | null {
  const [inSettings, inConfig] = [settings, config].map(({ path }) => installsOf(path, backups));
  const isChained = inConfig?.length !== 0 || inSettings?.length === 0;
  const { statusLine: kept } = config.root;
  if (isChained && typeof kept === "string" && statusLineIn(settings.root).kind === "ours") return kept;
  const line = statusLineIn(json.read(inSettings?.[0]?.before ?? ""));
  return line.kind === "other" ? line.command : null;
}
