import { hookEvents } from "../contract/hook-input.ts";
import { hasNoTodoTools, hookTool, hookToolSince } from "../contract/hook-tool.ts";
import type { ReadText } from "./client-files.ts";
import { parseCommand, isHookToolHandler, findScript } from "./entries.ts";
import type { Launch } from "../platform/launch.ts";
import * as json from "./json-text.ts";
import { hookDelivery } from "./plan.ts";
import { enabledPlugins, installedPlugins, type InstalledPlugin } from "./plugins.ts";
import * as settings from "./settings-edits.ts";
import { pathOf, type ClientTarget } from "./targets.ts";

export interface Finding {
  readonly severity: "ok" | "warning" | "error";
  readonly client: ClientTarget["client"];
  readonly code: FindingCode;
  readonly text: string;
  readonly fix: string | null;
}

type FindingCode =
  | "installed"
  | "not_installed"
  | "file_unsound"
  | "file_ignored"
  | "incomplete"
  | "doubled"
  | "name_taken"
  | "script_missing"
  | "other_copy"
  | "node_missing"
  | "node_too_old"
  | "hooks_disabled"
  | "hooks_by_process"
  | "hooks_too_new"
  | "no_status_line"
  | "todo_tools_off"
  | "plugin_not_built";

export interface InspectContext {
  readonly read: ReadText;
  readonly exists: (path: string) => boolean;
  readonly nodeVersion: (node: string) => string | null;
  readonly minNodeVersion: readonly [major: number, minor: number];
  readonly launch: Launch;
  /** Output of `claude --version`; null when it cannot be run. */
  readonly claudeVersion: string | null;
}

type AddFinding = (severity: Finding["severity"], code: FindingCode, text: string, fix?: string) => void;

interface ClientSettingsTexts {
  readonly servers: string;
  readonly settings: string;
}

/** [IN12] [IN13] Reads only. */
export function inspect(target: ClientTarget, context: InspectContext): Finding[] {
  const findings: Finding[] = [];
  const add: AddFinding = (severity, code, text, fix) =>
    findings.push({ severity, client: target.client, code, text: `${target.label}: ${text}`, fix: fix ?? null });
  const texts = loadTexts(target, context, add);
  if (!texts) return findings;
  const plugins = listPlugins(target, context, texts);
  checkPresence(target, context, texts, plugins, add);
  checkDoubled(texts, plugins, add);
  checkCommands(texts, context, add);
  checkClaudeCode(target, texts, context, add);
  for (const plugin of plugins) checkPlugin(target, plugin, context, add);
  return findings;
}

const rerunInit = "Run `shim init` again.";

function loadTexts(target: ClientTarget, context: InspectContext, add: AddFinding): ClientSettingsTexts | null {
  const servers = readSound(target, target.serversFile, context, add);
  const current = target.settingsFile === null ? "" : readSound(target, target.settingsFile, context, add);
  return servers === null || current === null ? null : { servers, settings: current };
}

function readSound(target: ClientTarget, path: string, { read }: InspectContext, add: AddFinding): string | null {
  const file = read(path);
  const text = file.ok ? (file.value ?? "") : "";
  const problem = file.ok ? settings.shapeProblem(text) : "cannot be read as UTF-8 text";
  if (problem) {
    add("error", "file_unsound", `${path} ${problem}`, "Correct the file, then run `shim init` again.");
    return null;
  }
  if (!json.isStrict(text))
    add(
      "error",
      "file_ignored",
      `${path} has comments or trailing commas, which ${target.label} does not read`,
      "Remove them.",
    );
  return text;
}

function listPlugins(target: ClientTarget, context: InspectContext, texts: ClientSettingsTexts): InstalledPlugin[] {
  const { pluginsFolder, platform } = target;
  if (pluginsFolder === null) return [];
  const path = pathOf(platform);
  const textOf = (name: string): string => {
    const text = context.read(path.join(pluginsFolder, name));
    return text.ok && text.value !== null && json.findProblem(text.value) === null ? text.value : "";
  };
  const installed = installedPlugins(textOf("installed_plugins.json"), textOf("known_marketplaces.json"), platform);
  const enabled = enabledPlugins(texts.settings);
  const unlisted = enabled.filter((key) => !installed.some((plugin) => plugin.key === key));
  return [
    ...installed.filter(({ key, scope }) => scope !== "user" || enabled.includes(key)),
    ...unlisted.map((key) => ({ key, scope: "user", project: null, folder: null })),
  ];
}

function hookedEvents(texts: ClientSettingsTexts): string[] {
  return hookEvents.filter((event) => settings.ourHooks(texts.settings, event).length > 0);
}

function checkPresence(
  target: ClientTarget,
  context: InspectContext,
  texts: ClientSettingsTexts,
  plugins: readonly InstalledPlugin[],
  add: AddFinding,
): void {
  const isServer = settings.ourServers(texts.servers).length > 0;
  const events = hookedEvents(texts);
  const plugin = plugins.find(({ scope }) => scope === "user");
  if (plugin) add("ok", "installed", `SHIM is installed as the plugin ${plugin.key}`);
  if (!isServer && settings.isNameTaken(texts.servers))
    add("error", "name_taken", 'another MCP server is named "shim"', "Rename or remove it, then run `shim init`.");
  if (isServer || events.length > 0) checkComplete(target, context, { isServer, events }, texts, add);
  else if (!plugin) add("warning", "not_installed", "SHIM is not installed", "Run `shim init`.");
}

interface ServerPresence {
  readonly isServer: boolean;
  readonly events: readonly string[];
}

function checkComplete(
  target: ClientTarget,
  { claudeVersion }: InspectContext,
  { isServer, events }: ServerPresence,
  texts: ClientSettingsTexts,
  add: AddFinding,
): void {
  const delivery = hookDelivery(texts.servers, claudeVersion);
  const expectedEvents = target.settingsFile === null ? [] : settings.supportedEvents(delivery);
  const missing = expectedEvents.filter((event) => !events.includes(event));
  if (!isServer) add("error", "incomplete", "the hooks are there, but not the MCP server", rerunInit);
  if (missing.length > 0) add("error", "incomplete", `hooks are missing for ${missing.join(", ")}`, rerunInit);
  if (!isServer || missing.length > 0) return;
  if (target.settingsFile === null) add("ok", "installed", "SHIM is installed by `shim init`");
  else checkDelivery(delivery, texts, add);
}

/** [IN21] */
function checkDelivery({ server, version }: settings.HookDelivery, texts: ClientSettingsTexts, add: AddFinding): void {
  const groups = JSON.stringify(json.valueAt(texts.settings, ["hooks", "PreToolUse"]) ?? []);
  const isTool = groups.includes(`"tool":"${hookTool}"`);
  const client = `Claude Code ${/\d+\.\d+\.\d+/.exec(version ?? "")?.[0] ?? "of unknown version"}`;
  const deliveryText = isTool ? "tool events go through its MCP process" : "each tool event starts a process";
  add("ok", "installed", `SHIM is installed by \`shim init\`; ${deliveryText} (${client})`);
  if (version === null || isTool === (server !== null)) return;
  const slowText = "a process for each event makes tool calls slow, and is no longer needed";
  const unknownText = `${client} does not know hooks of type mcp_tool (${hookToolSince} does) and ignores all hooks of its settings`;
  if (isTool) add("error", "hooks_too_new", unknownText, `Update Claude Code, or: ${rerunInit}`);
  else add("warning", "hooks_by_process", slowText, rerunInit);
}

function checkDoubled(texts: ClientSettingsTexts, plugins: readonly InstalledPlugin[], add: AddFinding): void {
  const servers = settings.ourServers(texts.servers);
  const doubledEvents = hookEvents.filter((event) => isDoubled(texts.settings, event));
  if (servers.length > 1)
    add("warning", "doubled", `SHIM is there as several MCP servers: ${servers.join(", ")}`, rerunInit);
  if (doubledEvents.length > 0)
    add("warning", "doubled", `SHIM has several hooks for ${doubledEvents.join(", ")}`, rerunInit);
  if (servers.length === 0 && hookedEvents(texts).length === 0) return;
  for (const plugin of plugins) add("warning", "doubled", doubledText(plugin), doubledFix(plugin));
}

/** MCP hooks have one group for each matcher; a process hook beside them is one too many. */
function isDoubled(text: string, event: string): boolean {
  const handlers = settings
    .ourHooks(text, event)
    .map(({ group, handler }) => json.valueAt(text, ["hooks", event, group, "hooks", handler]));
  const processes = handlers.filter((handler) => !isHookToolHandler(handler));
  return processes.length > 1 || (processes.length === 1 && handlers.length > 1);
}

function doubledText({ key, project }: InstalledPlugin): string {
  const where = project === null ? "" : ` for ${project}`;
  return `SHIM is there by \`shim init\` and as the plugin ${key}${where}: its tools are listed twice and each hook starts twice`;
}

function doubledFix({ key, project }: InstalledPlugin): string {
  const withoutPlugin = `\`claude plugin uninstall ${key}\``;
  if (project !== null) return `Run ${withoutPlugin} in that project.`;
  return `Keep one. The plugin: run \`shim init\` again, which then leaves the rest to it. Or without it: ${withoutPlugin}.`;
}

function checkCommands(texts: ClientSettingsTexts, context: InspectContext, add: AddFinding): void {
  const servers = settings.ourServers(texts.servers).map((name) => json.valueAt(texts.servers, ["mcpServers", name]));
  const hooks = hookEvents.flatMap((event) =>
    settings
      .ourHooks(texts.settings, event)
      .map(({ group, handler }) => json.valueAt(texts.settings, ["hooks", event, group, "hooks", handler])),
  );
  const { launch } = context;
  const expected = new Set([launch.script, launch.hookScript]);
  for (const script of distinct([...servers, ...hooks].map(findScript))) {
    if (!context.exists(script))
      add("error", "script_missing", `${script} is gone; was the clone moved?`, "Run `shim init` in its new place.");
    else if (!expected.has(script))
      add("warning", "other_copy", `it starts another copy of SHIM: ${script}`, `To use this one: ${rerunInit}`);
  }
  for (const node of distinct([...servers, ...hooks].map((entry) => parseCommand(entry)?.command ?? null)))
    checkNode(node, context, add);
}

function distinct(values: readonly (string | null)[]): string[] {
  return [...new Set(values.filter((value) => value !== null))];
}

function checkNode(command: string, context: InspectContext, add: AddFinding): void {
  if (!/(^|[\\/])node[^\\/]*$/.test(command)) return;
  const version = context.nodeVersion(command);
  const [major, minor] = context.minNodeVersion;
  if (version === null) {
    add("error", "node_missing", `${command} does not run`, rerunInit);
    return;
  }
  const [foundMajor = 0, foundMinor = 0] = version.replace(/^v/, "").split(".").map(Number);
  if (foundMajor > major || (foundMajor === major && foundMinor >= minor)) return;
  add(
    "error",
    "node_too_old",
    `${command} is ${version}; SHIM needs ${major}.${minor} or newer`,
    `With a newer Node: ${rerunInit}`,
  );
}

function checkClaudeCode(
  target: ClientTarget,
  texts: ClientSettingsTexts,
  context: InspectContext,
  add: AddFinding,
): void {
  if (target.settingsFile === null) return;
  if (json.valueAt(texts.settings, ["disableAllHooks"]) === true)
    add(
      "error",
      "hooks_disabled",
      '"disableAllHooks" is set, so nothing is saved as it happens',
      `Remove it from ${target.settingsFile}.`,
    );
  if (hasNoTodoTools(context.claudeVersion) && !settings.isTodoToolsSet(texts.settings))
    add(
      "ok",
      "todo_tools_off",
      "the newest models have no to-do tools here; `shim init --todo-tools` switches them on",
    );
  if (settings.statusLineIn(texts.settings).kind !== "ours" && hookedEvents(texts).length > 0)
    add(
      "warning",
      "no_status_line",
      "the status line is not SHIM's, so the fill of the context is estimated",
      rerunInit,
    );
}

function checkPlugin(target: ClientTarget, plugin: InstalledPlugin, context: InspectContext, add: AddFinding): void {
  if (plugin.folder === null) return;
  const path = pathOf(target.platform);
  const built = ["dist", "../dist"].map((folder) => path.join(plugin.folder ?? "", folder, "hook.cjs"));
  if (built.some(context.exists)) return;
  add(
    "error",
    "plugin_not_built",
    `the plugin in ${plugin.folder} is not built`,
    "Run `npm ci && npm run build` in the clone.",
  );
}
