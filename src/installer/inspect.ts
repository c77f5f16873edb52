import { formOf } from "../clients/client-files.ts";
import type { HookEvent } from "../contract/hook-input.ts";
import { hasHookTool, hookToolSince, isEventKnown } from "../contract/hook-tool.ts";
import type { ClientState } from "../contract/machine/overview.ts";
import { readConfig } from "../platform/config-file.ts";
import { type Launch, shellHookOf } from "../platform/launch.ts";
import type { Paths } from "../platform/paths.ts";
import { type JsonObject, isRecord, textAt } from "../shared/json-fields.ts";
import { hookDelivery, notBlocking } from "./client-entries.ts";
import { type ReadText, readText } from "./client-files.ts";
import {
  findScript,
  handlerIn,
  isHookToolHandler,
  isOwnFile,
  ourHandlers,
  ourServers,
  runnerOf,
  enabledPlugins,
  isOurPlugin,
} from "./entries.ts";
import type { PlanContext } from "./file-edits.ts";
import { lastingLaunch } from "./own-program.ts";
import { type LoadedFiles, findIgnoredFiles, load, planFrom } from "./plan.ts";
import { json, objectAt, valueAt } from "./settings.ts";
import { type ClientTarget, type Machine, detect, pathOf } from "./targets.ts";

/** Findings with their severity. */
const severities = {
  installed: "ok",
  not_installed: "warning",
  file_unsound: "error",
  file_ignored: "error",
  incomplete: "error",
  outdated: "warning",
  doubled: "warning",
  name_taken: "error",
  script_missing: "error",
  other_copy: "warning",
  node_missing: "error",
  node_too_old: "error",
  hooks_disabled: "error",
  hooks_too_new: "error",
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

export interface InspectContext extends Pick<PlanContext, "read" | "wantsBlocking" | "launch" | "claudeVersion"> {
  readonly exists: (path: string) => boolean;
  readonly nodeVersion: (node: string) => string | null;
}

type Add = (code: FindingCode, text: string, fix?: string) => void;

type Inspection = ReturnType<typeof inspectionOf>;

const rerunInit = "Run `shim init` again.";

/** [IN12] [IN13] Compares a client's files with what an install would make of them. Reads only. */
export function inspect(target: ClientTarget, context: InspectContext): Finding[] {
  const { label, client } = target;
  const findings: Finding[] = [];
  const add: Add = (code, text, fix) =>
    findings.push({ severity: severities[code], client, code, text: `${label}: ${text}`, fix: fix ?? null });
  const planContext = { ...context, backups: [] };
  const loaded = load(target, planContext);
  if (!loaded.ok) {
    add("file_unsound", loaded.error.message, "Then run `shim init` again.");
    return findings;
  }
  const inspection = inspectionOf(target, context, loaded.value, add);
  for (const { message } of findIgnoredFiles(target, context.read)) add("file_ignored", message);
  const plan = planFrom(loaded.value, target, planContext);
  if (!plan.ok) add("name_taken", plan.error.message, "Then run `shim init` again.");
  checkPresence(inspection);
  checkCommands(inspection);
  if (client === "claude-code") checkClaudeCode(inspection);
  for (const plugin of inspection.plugins) checkPlugin(inspection, plugin);
  // An unknown client gets the hooks that every version has.
  const isKnown = client !== "claude-code" || context.claudeVersion !== null;
  const changes = plan.ok && isKnown && isThere(inspection) ? plan.value.edits.flatMap(({ summary }) => summary) : [];
  if (changes.length > 0 && findings.every(({ severity }) => severity === "ok"))
    add("outdated", `SHIM is not set up as it would be now: \`shim init\` ${changes.join("; ")}`, rerunInit);
  return findings;
}

function inspectionOf(target: ClientTarget, context: InspectContext, { files, own }: LoadedFiles, add: Add) {
  const form = formOf(target.client);
  const servers = files.servers.root;
  const settings = files.settings?.root ?? {};
  const ownHooks = own.find(({ what }) => what === "hooks");
  const ownHandlers = ownHooks?.before && isOwnFile(ownHooks.before) ? [handlerIn(ownHooks.before)] : [];
  const handlersOf = (event: string): readonly JsonObject[] => (ownHooks ? ownHandlers : ourHandlers(settings, event));
  const serverNames = ourServers(servers, form.servers);
  const hookedEvents = form.events.filter((event) => handlersOf(event).length > 0);
  const plugins = listPlugins(target, context.read, settings);
  const found = { form, servers, settings, serverNames, hookedEvents, handlersOf, plugins };
  return { ...context, ...found, target, add };
}

function isThere({ serverNames, hookedEvents }: Inspection): boolean {
  return serverNames.length + hookedEvents.length > 0;
}

function listPlugins(
  { pluginsFolder, platform }: ClientTarget,
  read: ReadText,
  settings: JsonObject,
): InstalledPlugin[] {
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
  const { target, form, serverNames, hookedEvents, claudeVersion, plugins, add } = inspection;
  const plugin = plugins.find(({ scope }) => scope === "user");
  // Nothing is said of a client whose version is not known.
  const events = hasHookTool(claudeVersion) ? "go through its MCP process" : "are read from the transcript";
  const how = claudeVersion === null ? "" : `; tool events ${events} (${titleOf(claudeVersion)})`;
  if (plugin) add("installed", `SHIM is installed as the plugin ${plugin.key}${how}`);
  if (!isThere(inspection)) {
    if (!plugin) add("not_installed", "SHIM is not installed", "Run `shim init`.");
    return;
  }
  // [IN102] A hook that the client's present version has, too, waits for the next install.
  const isInEveryVersion = (event: string): boolean =>
    target.client !== "claude-code" || isEventKnown(event as HookEvent, null);
  const lost = form.events.filter((event) => !hookedEvents.includes(event) && isInEveryVersion(event));
  if (serverNames.length === 0) add("incomplete", "the hooks are installed, but not the MCP server", rerunInit);
  if (lost.length > 0) add("incomplete", `hooks are missing for ${lost.join(", ")}`, rerunInit);
  if (serverNames.length > 0 && lost.length === 0)
    add("installed", `SHIM is installed by \`shim init\`${deliveryText(inspection)}`);
  for (const { key, project } of plugins) {
    const where = project === null ? "" : ` for ${project}`;
    const text = `SHIM is installed by \`shim init\` and as the plugin ${key}${where}: its tools are listed twice and each hook starts twice`;
    const withoutPlugin = `\`claude plugin uninstall ${key}\``;
    const fix =
      project === null
        ? `Keep one. To keep the plugin, run \`shim init\` again, which then leaves the rest to it. To remove it: ${withoutPlugin}.`
        : `Run ${withoutPlugin} in that project.`;
    add("doubled", text, fix);
  }
}

function deliveryText({ target, handlersOf, claudeVersion }: Inspection): string {
  if (target.client !== "claude-code") return "";
  const handlers = handlersOf("PreToolUse");
  const isTool = handlers.some(isHookToolHandler);
  const text = isTool ? "tool events go through its MCP process" : "each tool event starts a process";
  const blockText = isBlocking(handlers) ? "; a tool call that SHIM could not check is blocked" : "";
  return `; ${text}${blockText} (${titleOf(claudeVersion)})`;
}

function isBlocking(handlers: readonly JsonObject[]): boolean {
  return handlers.some((handler) => handler["onFailure"] === "block");
}

function titleOf(version: string | null): string {
  return `Claude Code ${/(?<!\d)\d+\.\d+\.\d+/.exec(version ?? "")?.[0] ?? "of unknown version"}`;
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

const minNode = { major: 22, minor: 16 };

function checkNode({ nodeVersion, add }: Inspection, command: string): void {
  if (!/(^|[\\/])node[^\\/]*$/.test(command)) return;
  const version = nodeVersion(command);
  if (version === null) return add("node_missing", `${command} does not run`, rerunInit);
  const [foundMajor = 0, foundMinor = 0] = version.replace(/^v/, "").split(".").map(Number);
  if (foundMajor > minNode.major || (foundMajor === minNode.major && foundMinor >= minNode.minor)) return;
  const tooOldText = `${command} is ${version}; SHIM needs ${minNode.major}.${minNode.minor} or newer`;
  add("node_too_old", tooOldText, `With a newer Node: ${rerunInit}`);
}

function checkClaudeCode(inspection: Inspection): void {
  const { target, servers, settings, hookedEvents, handlersOf, claudeVersion, wantsBlocking, add } = inspection;
  const handlers = handlersOf("PreToolUse");
  const disabledText = '"disableAllHooks" is set, so nothing is saved as it happens';
  if (settings["disableAllHooks"] === true)
    add("hooks_disabled", disabledText, `Remove it from ${target.settingsFile}.`);
  const unknownText = `${titleOf(claudeVersion)} does not support hooks of type mcp_tool (${hookToolSince} does) and ignores all hooks of its settings`;
  if (claudeVersion !== null && !hasHookTool(claudeVersion) && handlers.some(isHookToolHandler))
    add("hooks_too_new", unknownText, `Update Claude Code, or: ${rerunInit}`);
  if (wantsBlocking && claudeVersion !== null && hookedEvents.length > 0 && !isBlocking(handlers)) {
    const canBlock = hookDelivery(servers, claudeVersion, target.platform, true).isBlocking;
    const text = "a tool call that SHIM could not check continues, although team.blockUnchecked is set";
    add("not_blocking", text, canBlock ? rerunInit : `Update Claude Code, then: ${rerunInit}`);
  }
}

function checkPlugin(
  { target, exists, claudeVersion, wantsBlocking, add }: Inspection,
  { key, folder }: InstalledPlugin,
): void {
  const withoutPlugin = `\`claude plugin uninstall ${key}\`, then \`shim init\`.`;
  if (wantsBlocking) add("not_blocking", notBlocking(true), withoutPlugin);
  const tooNewText = `${titleOf(claudeVersion)} does not support hooks of type mcp_tool (${hookToolSince} does): no tool event of the plugin arrives, and reserved files are not guarded`;
  if (claudeVersion !== null && !hasHookTool(claudeVersion))
    add("plugin_too_new", tooNewText, `Update Claude Code, or: ${withoutPlugin}`);
  if (folder === null) return;
  const built = ["dist", "../dist"].map((dist) => pathOf(target.platform).join(folder, dist, "hook.cjs"));
  if (built.some(exists)) return;
  add("plugin_not_built", `the plugin in ${folder} is not built`, "Run `npm ci && npm run build` in the clone.");
}

/** This SHIM, its home, and the machine around it. */
export interface Installation {
  readonly paths: Pick<Paths, "home" | "config">;
  readonly site: {
    readonly env: NodeJS.ProcessEnv;
    readonly now: () => number;
    readonly launch: Launch;
    readonly machine: Machine;
    readonly versionOf: (program: string) => string | null;
  };
}

export function clientFindings(installation: Installation): Finding[] {
  return detect(installation.site.machine).flatMap((target) => findingsOf(installation, target));
}

export function findingsOf(installation: Installation, target: ClientTarget): Finding[] {
  const { machine, versionOf, launch } = installation.site;
  return inspect(target, {
    read: readText,
    exists: machine.exists,
    nodeVersion: versionOf,
    launch: lastingLaunch(launch, installation.paths.home),
    claudeVersion: target.client === "claude-code" ? claudeVersion(installation) : null,
    wantsBlocking: wantsBlocking(installation.paths.config),
  });
}

export function wantsBlocking(configPath: string): boolean {
  const config = readConfig(configPath);
  return config.ok && config.value.team.blockUnchecked;
}

/** [IN102] Where Claude Code's own installers put it, the PATH may not lead. */
export function claudeVersion({ site: { machine, versionOf } }: Pick<Installation, "site">): string | null {
  const { homedir, exists, platform } = machine;
  const path = pathOf(platform);
  const name = platform === "win32" ? "claude.exe" : "claude";
  const installed = [
    [".local", "bin"],
    [".claude", "local"],
  ].map((folder) => path.join(homedir, ...folder, name));
  const program = installed.find(exists);
  return versionOf("claude") ?? (program === undefined ? null : versionOf(program));
}

/** Starts no program to learn its version. */
export function clientStates({ site, paths }: Installation): ClientState[] {
  const installation = { paths, site: { ...site, versionOf: () => process.version } };
  return detect(site.machine).map((target) => {
    const codes = new Set(findingsOf(installation, target).map(({ code }) => code));
    const { client, label } = target;
    return { client, label, isInstalled: codes.has("installed") && !codes.has("file_ignored") };
  });
}

interface InstalledPlugin {
  readonly key: string;
  readonly scope: string;
  readonly project: string | null;
  readonly folder: string | null;
}

/**
 * Reads `installed_plugins.json`. A marketplace that is a folder, such as a clone, is read
 * directly; the copy that the list names is then unused (seen with 2.1.328).
 */
function installedPlugins(
  installed: JsonObject,
  marketplaces: JsonObject,
  platform: NodeJS.Platform,
): InstalledPlugin[] {
  return Object.entries(objectAt(installed, ["plugins"]))
    .filter(([key]) => isOurPlugin(key))
    .flatMap(([key, listed]) => {
      const marketplace = objectAt(marketplaces, [key.slice(key.indexOf("@") + 1)]);
      const isFolder = valueAt(marketplace, ["source", "source"]) === "directory";
      const marketplaceFolder = isFolder ? textAt(marketplace, "installLocation") : null;
      const entries: unknown[] = Array.isArray(listed) ? listed : [];
      return entries.filter(isRecord).map((entry) => ({
        key,
        scope: textAt(entry, "scope") ?? "user",
        project: textAt(entry, "projectPath"),
        folder:
          marketplaceFolder === null
            ? textAt(entry, "installPath")
            : pathOf(platform).join(marketplaceFolder, "plugin"),
      }));
    });
}
