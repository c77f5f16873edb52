import { hasHookTool, hasNoTodoTools, hookToolSince, isEventKnown } from "../contract/hook-tool.ts";
import { shellHookOf, type Launch } from "../platform/launch.ts";
import type { JsonObject } from "../shared/json-fields.ts";
import { isTodoToolsSet, statusLineIn } from "./claude-settings.ts";
import { hookDelivery, notBlocking } from "./client-entries.ts";
import type { ReadText } from "./client-files.ts";
import { formOf, shapeProblemOf, type ClientForm } from "./client-forms.ts";
import { isHookToolHandler, findScript, runnerOf } from "./entries.ts";
import { findProblem } from "./file-edits.ts";
import { handlerIn, isOwnFile } from "./hook-file.ts";
import { ourHandlers, supportedEvents, type HookDelivery } from "./hook-lists.ts";
import { json } from "./json-text.ts";
import { findIgnoredFiles } from "./plan.ts";
import { enabledPlugins, installedPlugins, type InstalledPlugin } from "./plugins.ts";
import { isNameTaken, ourServers } from "./server-lists.ts";
import { formatOf } from "./settings-text.ts";
import { objectAt } from "./settings.ts";
import { isSetUpUnasked, pathOf, type ClientTarget } from "./targets.ts";

/** Findings with their severity. */
const severities = {
  installed: "ok",
  not_installed: "warning",
  file_unsound: "error",
  file_ignored: "error",
  incomplete: "error",
  hooks_outdated: "warning",
  doubled: "warning",
  name_taken: "error",
  script_missing: "error",
  other_copy: "warning",
  node_missing: "error",
  node_too_old: "error",
  hooks_disabled: "error",
  hooks_by_process: "warning",
  hooks_too_new: "error",
  no_status_line: "warning",
  todo_tools_off: "ok",
  plugin_not_built: "error",
  plugin_too_new: "warning",
  not_blocking: "error",
} as const;

type FindingCode = keyof typeof severities;

export interface Finding {
  readonly severity: (typeof severities)[FindingCode];
  readonly client: ClientTarget["client"];
  readonly code: FindingCode;
  readonly text: string;
  readonly fix: string | null;
}

export interface InspectContext {
  readonly read: ReadText;
  readonly exists: (path: string) => boolean;
  readonly nodeVersion: (node: string) => string | null;
  readonly minNodeVersion: readonly [major: number, minor: number];
  readonly launch: Launch;
  /** Output of `claude --version`; null when it cannot be run. */
  readonly claudeVersion: string | null;
  /** The user's `team.blockUnchecked`. */
  readonly wantsBlocking: boolean;
}

interface Reading extends InspectContext {
  readonly target: ClientTarget;
  readonly add: (code: FindingCode, text: string, fix?: string) => void;
}

interface Inspection extends Reading {
  readonly form: ClientForm;
  readonly servers: JsonObject;
  /** Empty for a file that is SHIM's alone. */
  readonly settings: JsonObject;
  readonly serverNames: readonly string[];
  /** Whether a file that should be SHIM's alone was not written by it. */
  readonly isForeign: boolean;
  readonly hookedEvents: readonly string[];
  readonly handlersOf: (event: string) => readonly JsonObject[];
  readonly plugins: readonly InstalledPlugin[];
}

/** [IN12] [IN13] Reads only. */
export function inspect(target: ClientTarget, context: InspectContext): Finding[] {
  const findings: Finding[] = [];
  const add: Reading["add"] = (code, text, fix) =>
    findings.push({
      severity: severities[code],
      client: target.client,
      code,
      text: `${target.label}: ${text}`,
      fix: fix ?? null,
    });
  const reading = { ...context, target, add };
  const form = formOf(target.client);
  const servers = readSound(reading, target.serversFile);
  const ownText = form.hooks?.form === "own" ? readOwn(reading) : null;
  const settings = target.settingsFile === null || ownText !== null ? {} : readSound(reading, target.settingsFile);
  if (servers === null || settings === null) return findings;
  const handlersOf = (event: string): readonly JsonObject[] =>
    ownText === null ? ourHandlers(settings, event) : isOwnFile(ownText) ? [handlerIn(ownText)] : [];
  const inspection: Inspection = {
    ...reading,
    form,
    servers,
    settings,
    serverNames: ourServers(servers, form.servers),
    isForeign: ownText !== null && ownText !== "" && !isOwnFile(ownText),
    hookedEvents: form.events.filter((event) => handlersOf(event).length > 0),
    handlersOf,
    plugins: listPlugins(reading, settings),
  };
  for (const { message } of findIgnoredFiles(target, context.read)) add("file_ignored", message);
  checkPresence(inspection);
  checkDoubled(inspection);
  checkCommands(inspection);
  if (target.settingsFile !== null && target.client === "claude-code") checkClaudeCode(inspection, target.settingsFile);
  for (const plugin of inspection.plugins) checkPlugin(inspection, plugin);
  return findings;
}

const rerunInit = "Run `shim init` again.";

function readSound({ read, target, add }: Reading, path: string): JsonObject | null {
  const file = read(path);
  const text = file.ok ? (file.value ?? "") : "";
  const problem = file.ok ? findProblem(path, text, shapeProblemOf(target.client)) : "cannot be read as UTF-8 text";
  if (problem === null) return formatOf(path).read(text);
  add("file_unsound", `${path} ${problem}`, "Correct the file, then run `shim init` again.");
  return null;
}

function readOwn({ read, target: { settingsFile } }: Reading): string {
  const file = read(settingsFile ?? "");
  return file.ok ? (file.value ?? "") : "";
}

function listPlugins({ target, read }: Reading, settings: JsonObject): InstalledPlugin[] {
  const { pluginsFolder, platform } = target;
  if (pluginsFolder === null) return [];
  const readList = (name: string): JsonObject => {
    const text = read(pathOf(platform).join(pluginsFolder, name));
    return text.ok && text.value !== null && json.findProblem(text.value) === null ? json.read(text.value) : {};
  };
  const installed = installedPlugins(readList("installed_plugins.json"), readList("known_marketplaces.json"), platform);
  const enabled = enabledPlugins(settings);
  const unlisted = enabled.filter((key) => !installed.some((plugin) => plugin.key === key));
  return [
    ...installed.filter(({ key, scope }) => scope !== "user" || enabled.includes(key)),
    ...unlisted.map((key) => ({ key, scope: "user", project: null, folder: null })),
  ];
}

function checkPresence(inspection: Inspection): void {
  const { target, form, servers, serverNames, isForeign, hookedEvents, plugins, add } = inspection;
  const plugin = plugins.find(({ scope }) => scope === "user");
  if (plugin) add("installed", `SHIM is installed as the plugin ${plugin.key}${pluginDelivery(inspection)}`);
  if (isNameTaken(servers, form.servers))
    add("name_taken", 'another MCP server is named "shim"', "Rename or remove it, then run `shim init`.");
  if (isForeign)
    add("name_taken", `${target.settingsFile} was not written by SHIM`, "Rename it, then run `shim init`.");
  if (serverNames.length + hookedEvents.length > 0) checkComplete(inspection);
  else if (!plugin && isSetUpUnasked(target.client)) add("not_installed", "SHIM is not installed", "Run `shim init`.");
}

function checkComplete(inspection: Inspection): void {
  const { form, serverNames, hookedEvents, add } = inspection;
  const delivery = deliveryIn(inspection);
  const expected = delivery ? supportedEvents(delivery) : form.events;
  const missing = expected.filter((event) => !hookedEvents.includes(event));
  const newer = delivery
    ? supportedEvents(delivery).filter((event) => missing.includes(event) && !isEventKnown(event, null))
    : [];
  const lost = missing.filter((event) => !newer.some((one) => one === event));
  if (serverNames.length === 0) add("incomplete", "the hooks are installed, but not the MCP server", rerunInit);
  if (lost.length > 0) add("incomplete", `hooks are missing for ${lost.join(", ")}`, rerunInit);
  if (serverNames.length === 0 || lost.length > 0) return;
  if (delivery) checkDelivery(inspection, delivery, newer);
  else add("installed", "SHIM is installed by `shim init`");
}

/** Null for a client that has one way alone. */
function deliveryIn({ target, servers, claudeVersion, wantsBlocking }: Inspection): HookDelivery | null {
  if (target.client !== "claude-code") return null;
  return hookDelivery(servers, claudeVersion, target.platform, wantsBlocking);
}

/** Says nothing of a client whose version is not known. */
function pluginDelivery({ claudeVersion }: Inspection): string {
  if (claudeVersion === null) return "";
  const text = hasHookTool(claudeVersion) ? "go through its MCP process" : "are read from the transcript";
  return `; tool events ${text} (${titleOf(claudeVersion)})`;
}

function titleOf(version: string | null): string {
  return `Claude Code ${/(?<!\d)\d+\.\d+\.\d+/.exec(version ?? "")?.[0] ?? "of unknown version"}`;
}

/** @param newer events that only the client's present version has, and no hooks yet */
function checkDelivery(
  { handlersOf, wantsBlocking, add }: Inspection,
  { server, version, isBlocking }: HookDelivery,
  newer: readonly string[],
): void {
  const handlers: readonly JsonObject[] = handlersOf("PreToolUse");
  const isTool = handlers.some(isHookToolHandler);
  const client = titleOf(version);
  const deliveryText = isTool ? "tool events go through its MCP process" : "each tool event starts a process";
  const isBlocked = handlers.some((handler) => handler["onFailure"] === "block");
  const blockText = isBlocked ? "; a tool call that SHIM could not check is blocked" : "";
  add("installed", `SHIM is installed by \`shim init\`; ${deliveryText}${blockText} (${client})`);
  if (isBlocked !== wantsBlocking && version !== null) checkBlocking({ add }, { isBlocked, isBlocking });
  const newerText = `hooks for ${newer.join(", ")}, which ${client} also has, can be added`;
  if (newer.length > 0) add("hooks_outdated", newerText, rerunInit);
  if (version === null || isTool === (server !== null)) return;
  const slowText = "a process for each event makes tool calls slow, and is no longer needed";
  const unknownText = `${client} does not support hooks of type mcp_tool (${hookToolSince} does) and ignores all hooks of its settings`;
  if (isTool) add("hooks_too_new", unknownText, `Update Claude Code, or: ${rerunInit}`);
  else add("hooks_by_process", slowText, rerunInit);
}

/** The hooks are not what the user's setting says. */
function checkBlocking(
  { add }: Pick<Inspection, "add">,
  { isBlocked, isBlocking }: { readonly isBlocked: boolean; readonly isBlocking: boolean },
): void {
  const leftText = "a tool call that SHIM could not check is blocked, although team.blockUnchecked is not set";
  const missingText = "a tool call that SHIM could not check continues, although team.blockUnchecked is set";
  if (isBlocked) add("hooks_outdated", leftText, rerunInit);
  else if (isBlocking) add("not_blocking", missingText, rerunInit);
  else add("not_blocking", notBlocking(false), `Update Claude Code, then: ${rerunInit}`);
}

function checkDoubled({ form, serverNames, hookedEvents, handlersOf, plugins, add }: Inspection): void {
  const doubledEvents = form.events.filter((event) => isDoubled(handlersOf(event)));
  if (serverNames.length > 1)
    add("doubled", `SHIM is installed as several MCP servers: ${serverNames.join(", ")}`, rerunInit);
  if (doubledEvents.length > 0) add("doubled", `SHIM has several hooks for ${doubledEvents.join(", ")}`, rerunInit);
  if (serverNames.length + hookedEvents.length === 0) return;
  for (const plugin of plugins) add("doubled", doubledText(plugin), doubledFix(plugin));
}

/** MCP hooks have one group for each matcher; a process hook beside them is one too many. */
function isDoubled(handlers: readonly unknown[]): boolean {
  const processes = handlers.filter((handler) => !isHookToolHandler(handler));
  return processes.length > 1 || (processes.length === 1 && handlers.length > 1);
}

function doubledText({ key, project }: InstalledPlugin): string {
  const where = project === null ? "" : ` for ${project}`;
  return `SHIM is installed by \`shim init\` and as the plugin ${key}${where}: its tools are listed twice and each hook starts twice`;
}

function doubledFix({ key, project }: InstalledPlugin): string {
  const withoutPlugin = `\`claude plugin uninstall ${key}\``;
  if (project !== null) return `Run ${withoutPlugin} in that project.`;
  return `Keep one. To keep the plugin, run \`shim init\` again, which then leaves the rest to it. To remove it: ${withoutPlugin}.`;
}

function checkCommands(inspection: Inspection): void {
  const { form, servers, serverNames, handlersOf, launch, exists, add } = inspection;
  const entries = [
    ...serverNames.map((name) => objectAt(servers, [form.servers.key, name])),
    ...form.events.flatMap(handlersOf),
  ];
  const expected = new Set([launch.script, launch.hookScript, shellHookOf(launch)]);
  for (const script of distinct(entries.map(findScript))) {
    const movedText = `${script} is missing; was the clone moved?`;
    if (!exists(script)) add("script_missing", movedText, "Run `shim init` in its new folder.");
    else if (!expected.has(script))
      add("other_copy", `it starts another copy of SHIM: ${script}`, `To use this one: ${rerunInit}`);
  }
  const commands = distinct(entries.map(runnerOf));
  for (const command of commands) checkNode(inspection, command);
}

function distinct(values: readonly (string | null)[]): string[] {
  return [...new Set(values.filter((value) => value !== null))];
}

function checkNode({ nodeVersion, minNodeVersion: [major, minor], add }: Inspection, command: string): void {
  if (!/(^|[\\/])node[^\\/]*$/.test(command)) return;
  const version = nodeVersion(command);
  if (version === null) return add("node_missing", `${command} does not run`, rerunInit);
  const [foundMajor = 0, foundMinor = 0] = version.replace(/^v/, "").split(".").map(Number);
  if (foundMajor > major || (foundMajor === major && foundMinor >= minor)) return;
  const tooOldText = `${command} is ${version}; SHIM needs ${major}.${minor} or newer`;
  add("node_too_old", tooOldText, `With a newer Node: ${rerunInit}`);
}

function checkClaudeCode({ settings, hookedEvents, claudeVersion, add }: Inspection, settingsFile: string): void {
  const disabledText = '"disableAllHooks" is set, so nothing is saved as it happens';
  if (settings["disableAllHooks"] === true) add("hooks_disabled", disabledText, `Remove it from ${settingsFile}.`);
  const noTodosText = "the newest models have no to-do tools here; `shim init --todo-tools` switches them on";
  if (hasNoTodoTools(claudeVersion) && !isTodoToolsSet(settings)) add("todo_tools_off", noTodosText);
  const otherLineText = "the status line is not SHIM's, so the fill of the context is estimated";
  if (statusLineIn(settings).kind !== "ours" && hookedEvents.length > 0)
    add("no_status_line", otherLineText, rerunInit);
}

function checkPlugin(inspection: Inspection, { key, folder }: InstalledPlugin): void {
  const { target, exists, claudeVersion, wantsBlocking, add } = inspection;
  if (wantsBlocking) add("not_blocking", notBlocking(true), `\`claude plugin uninstall ${key}\`, then \`shim init\`.`);
  if (claudeVersion !== null && !hasHookTool(claudeVersion)) {
    const tooNewText = `${titleOf(claudeVersion)} does not support hooks of type mcp_tool (${hookToolSince} does): no tool event of the plugin arrives, and reserved files are not guarded`;
    add(
      "plugin_too_new",
      tooNewText,
      `Update Claude Code, or: \`claude plugin uninstall ${key}\`, then \`shim init\`.`,
    );
  }
  if (folder === null) return;
  const built = ["dist", "../dist"].map((dist) => pathOf(target.platform).join(folder, dist, "hook.cjs"));
  if (built.some(exists)) return;
  add("plugin_not_built", `the plugin in ${folder} is not built`, "Run `npm ci && npm run build` in the clone.");
}
