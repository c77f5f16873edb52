import type { ClientForm } from "../clients/adapter/client-form.ts";
import { formOf } from "../clients/details.ts";
import { hookEvents } from "../contract/hooks.ts";
import { findRealPath } from "../platform/shim-command.ts";
import { type JsonObject, isRecord } from "../shared/json-fields.ts";
import {
  type HookDelivery,
  addServer,
  addRules,
  hookCommandLine,
  isOurStatusLine,
  ourHandlers,
  ourHooks,
  ourServers,
  pluginServer,
  removeHooks,
  removeRules,
  removeServers,
  serverName,
  setClaudeHooks,
  setHook,
  statusLineCommand,
  supportedEvents,
  enabledPlugins,
} from "./entries.ts";
import { type Entry, type Part, type PlanContext, type SettingsFile } from "./file-edits.ts";
import { objectAt, objectIn, type Settings } from "./settings.ts";
import type { ClientName, ClientTarget } from "./targets.ts";

/** The settings of a client; null: it has no such file, or one that is SHIM's alone. */
export interface ClientSettings {
  readonly servers: SettingsFile;
  readonly settings: SettingsFile | null;
}

/** All that SHIM has in the settings of a client. */
export function entriesOf(target: ClientTarget, files: ClientSettings, context: PlanContext): Part {
  const form = formOf(target.client);
  const { servers, settings } = files;
  if (settings !== null && target.client === "claude-code") return claudeCode(target, servers, settings, context);
  const entries = [serverEntry(servers, form, context)];
  // Beside the servers.
  if (form.hasRules) entries.push(rulesEntry(servers, serverNameIn(servers.root, form), context.allowsTools === true));
  if (settings === null || form.hooks === null || form.hooks.form === "own") return { entries, notes: [] };
  const { events, hooks } = form;
  const set = (root: Settings): void => {
    for (const event of events)
      setHook(
        root,
        event,
        hooks.handler(hookCommandLine(context.launch, target.platform, event, target.client), event),
      );
  };
  entries.push(hooksEntry(settings, { known: events, wanted: events, set }));
  if (target.client === "codex") entries.push(trustEntry(servers, settings, events));
  return { entries, notes: [] };
}

/** The plugin brings the server and the hooks. */
function claudeCode(target: ClientTarget, servers: SettingsFile, settings: SettingsFile, context: PlanContext): Part {
  const form = formOf(target.client);
  const plugins = enabledPlugins(settings.root);
  const isPlugin = plugins.length > 0;
  const server = serverNameIn(servers.root, form);
  const delivery = hookDelivery(servers.root, context.claudeVersion, target.platform);
  const line = statusLinePart(settings, target.platform, context);
  const set = (root: Settings): void => setClaudeHooks(root, context.launch, delivery);
  const hooks = hooksEntry(settings, { known: hookEvents, wanted: supportedEvents(delivery), set });
  const own = [serverEntry(servers, form, context), hooks];
  const notes = [
    ...(isPlugin
      ? [`The plugin ${plugins.join(", ")} provides the MCP server and the hooks; only the status line is set.`]
      : []),
    ...line.notes,
    ...(context.claudeVersion === null ? [versionNote] : []),
  ];
  const entries = [
    ...(isPlugin
      ? own.map(({ remove: [says, apply], ...one }): Entry => {
          return { ...one, add: [`${says}, which the plugin provides`, apply], remove: [says, apply] };
        })
      : own),
    ...line.entries,
    ...[server, pluginServer].map((name) =>
      rulesEntry(settings, name, context.allowsTools === true && isPlugin === (name === pluginServer)),
    ),
  ];
  return { entries, notes };
}

function serverEntry(file: SettingsFile, { servers }: ClientForm, { launch }: PlanContext): Entry {
  const verb = ourServers(file.root, servers).length > 0 ? "corrects" : "adds";
  return {
    file,
    piece: "MCP server",
    add: [`${verb} the MCP server "${serverName}"`, (root) => addServer(root, servers, launch)],
    remove: ["removes the MCP server", (root) => removeServers(root, servers)],
  };
}

function rulesEntry(file: SettingsFile, server: string, isAdded: boolean): Entry {
  const says = "allows SHIM's tools that only read or save, without a question";
  return {
    file,
    piece: "allowed tools",
    add: isAdded ? [says, (root) => addRules(root, server)] : null,
    remove: ["removes the rules for SHIM's tools", (root, original) => removeRules(root, server, original)],
  };
}

interface WantedHooks {
  /** Events for which there may be hooks of SHIM. */
  readonly known: readonly string[];
  readonly wanted: readonly string[];
  readonly set: (root: Settings) => void;
}

function hooksEntry(file: SettingsFile, { known, wanted, set }: WantedHooks): Entry {
  const had = known.filter((event) => ourHandlers(file.root, event).length > 0);
  const added = wanted.filter((event) => !had.includes(event));
  const says = [
    ...(added.length > 0 ? [`adds hooks for ${added.join(", ")}`] : []),
    ...(had.length > 0 ? ["corrects SHIM's hooks"] : []),
  ];
  const remove = (root: Settings): void => removeHooks(root, known);
  return { file, piece: "hooks", add: [says.join("; "), set], remove: ["removes the hooks", remove] };
}

/**
 * How the hooks reach SHIM in a Claude Code of this version. A hook that goes through SHIM's server
 * fails, which the user sees at each tool call, where that was killed, is not allowed or was left
 * out. So it does only on Windows, which has no script that is as fast.
 */
function hookDelivery(servers: JsonObject, version: string | null, platform: NodeJS.Platform): HookDelivery {
  const needsServer = platform === "win32";
  return { server: needsServer ? serverNameIn(servers, formOf("claude-code")) : null, version, platform };
}

const versionNote =
  "`claude` is not on the PATH, so the version of Claude Code is not known, and it gets only the hooks that every version has. With `claude` on the PATH `shim init` adds the others.";

function serverNameIn(root: JsonObject, { servers }: ClientForm): string {
  return ourServers(root, servers)[0] ?? serverName;
}

/** Finds what SHIM cannot add its entries to, in words. */
export function shapeProblemOf(client: ClientName): (root: JsonObject) => string | null {
  const { servers, events } = formOf(client);
  return (root) => {
    const key = [servers.key, "hooks"].find((name) => root[name] !== undefined && !isRecord(root[name]));
    const hooks = objectAt(root, ["hooks"]);
    const event = events.find((name) => hooks[name] !== undefined && !Array.isArray(hooks[name]));
    const wrong = key ?? (event === undefined ? null : `hooks.${event}`);
    return wrong && `has an unexpected "${wrong}"`;
  };
}

/**
 * Trust in SHIM's hooks that Codex keeps in its config.toml, by the position of each
 * in the file of hooks.
 */
function trustEntry(file: SettingsFile, hooks: SettingsFile, events: readonly string[]): Entry {
  const keys = trustKeys(hooks, events);
  const remove = (root: Settings): void => {
    const known = objectAt(root, ["hooks", "state"]);
    for (const key of keys) if (key in known) delete objectIn(objectIn(root, "hooks"), "state")[key];
  };
  return { file, piece: "trust in hooks", add: null, remove: ["removes the trust in SHIM's hooks", remove] };
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

/** SHIM's status line, unless the user has one: `shim statusline` takes the same input. */
function statusLinePart(settings: SettingsFile, platform: NodeJS.Platform, { launch }: PlanContext): Part {
  const { statusLine: present } = settings.root;
  const command = statusLineCommand(launch, platform);
  const isOurs = isOurStatusLine(present);
  const isTaken = present !== undefined && !isOurs;
  const set = (root: Settings): void => {
    root["statusLine"] ??= { type: "command" };
    objectIn(root, "statusLine")["command"] = command;
  };
  const entry: Entry = {
    file: settings,
    piece: "status line",
    add: command === null || isTaken ? null : [`${isOurs ? "corrects" : "sets"} SHIM's status line`, set],
    remove: ["removes SHIM's status line", removeStatusLine],
  };
  const notes = isTaken ? [ownLine(present, command)] : command === null ? [unsafePath] : [];
  return { entries: [entry], notes };
}

function removeStatusLine(root: Settings): void {
  if (isOurStatusLine(root["statusLine"])) delete root["statusLine"];
}

function ownLine(present: unknown, command: string | null): string {
  const own = isRecord(present) && typeof present["command"] === "string" ? ` (${present["command"]})` : "";
  const advice = command === null ? "" : ` To have both, let it also run \`${command}\` with its input.`;
  return `Your own status line stays${own}, and SHIM's is not set.${advice}`;
}

const unsafePath =
  "The status line is left unchanged: a path of SHIM holds quotes that the shells of Windows read differently.";
