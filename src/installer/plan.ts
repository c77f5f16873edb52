import { hookEvents } from "../contract/hook-input.ts";
import { hasHookTool, hasNoTodoTools } from "../contract/hook-tool.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { refusal, type ClientRefusal, type ReadText } from "./client-files.ts";
import { serverName, statusLineCommand } from "./entries.ts";
import type { Launch } from "../platform/launch.ts";
import * as json from "./json-text.ts";
import { enabledPlugins } from "./plugins.ts";
import * as settings from "./settings-edits.ts";
import type { ClientTarget } from "./targets.ts";

export interface FileEdit {
  readonly path: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly summary: readonly string[];
}

export interface Plan {
  readonly action: "install" | "uninstall";
  readonly target: ClientTarget;
  readonly edits: readonly FileEdit[];
  readonly notes: readonly string[];
}

export interface PlanContext {
  /** SHIM's own config.json; keeps the user's status line while SHIM's replaces it. */
  readonly shimConfig: string;
  readonly read: ReadText;
  readonly claudeVersion: string | null;
  readonly wantsTodoTools?: boolean;
}

/** Longest command that config.json's `statusLine` accepts. */
const maxStatusLineChars = 2_000;

/**
 * [IN4] [IN5] [IN6] [IN7] Plans the MCP server, hooks and status line, each once. With the plugin
 * enabled, plans only the status line, which a plugin cannot set. Refuses unsound files.
 */
export function planInstall(target: ClientTarget, launch: Launch, context: PlanContext): Result<Plan, ClientRefusal> {
  const loaded = load(target, context);
  if (!loaded.ok) return loaded;
  const texts = loaded.value;
  const plugins = enabledPlugins(texts.settings ?? "");
  const isPlugin = plugins.length > 0;
  if (!isPlugin && settings.isNameTaken(texts.servers ?? "")) return err(nameTaken(target.serversFile));
  const notes = isPlugin
    ? [`The plugin ${plugins.join(", ")} brings the MCP server and the hooks; only the status line is set.`]
    : [];
  const servers = editServers(target, launch, texts.servers, isPlugin);
  if (target.settingsFile === null) return ok(toPlan(target, [servers], notes));
  const settingsPlan = planSettings(target.settingsFile, target, launch, { texts, isPlugin }, context);
  return ok(toPlan(target, [servers, ...settingsPlan.edits], [...notes, ...settingsPlan.notes]));
}

interface InstalledState {
  readonly texts: ClientTexts;
  readonly isPlugin: boolean;
}

function planSettings(
  path: string,
  target: ClientTarget,
  launch: Launch,
  { texts, isPlugin }: InstalledState,
  context: PlanContext,
): Pick<Plan, "edits" | "notes"> {
  const statusLine = planStatusLine(target, launch, texts);
  const isTodoTools = context.wantsTodoTools === true && !settings.isTodoToolsSet(texts.settings ?? "");
  const edits = [
    editSettings(path, launch, texts.settings, {
      isPlugin,
      line: statusLine,
      isTodoTools,
      delivery: hookDelivery(texts.servers ?? "", context.claudeVersion),
    }),
    editConfig(context.shimConfig, texts.config, statusLine, isTodoTools),
  ];
  const notes = [...statusLine.notes, ...strictnessNotes(target, texts), ...todoNotes(texts, context)];
  return { edits: edits.filter((edit) => edit !== null), notes };
}

function toPlan(target: ClientTarget, edits: readonly (FileEdit | null)[], notes: readonly string[]): Plan {
  return { action: "install", target, edits: edits.filter((edit) => edit !== null), notes };
}

export interface ClientTexts {
  readonly servers: string | null;
  readonly settings: string | null;
  readonly config: string | null;
}

export function load(target: ClientTarget, { read, shimConfig }: PlanContext): Result<ClientTexts, ClientRefusal> {
  const { serversFile, settingsFile } = target;
  const servers = loadOne(read, serversFile);
  if (!servers.ok) return servers;
  if (settingsFile === null) return ok({ servers: servers.value, settings: null, config: null });
  const current = loadOne(read, settingsFile);
  if (!current.ok) return current;
  const config = loadOne(read, shimConfig);
  if (!config.ok) return config;
  return ok({ servers: servers.value, settings: current.value, config: config.value });
}

function loadOne(read: ReadText, path: string): Result<string | null, ClientRefusal> {
  const text = read(path);
  const problem = text.ok && text.value !== null ? settings.shapeProblem(text.value) : null;
  return problem === null ? text : err(refusal("config_unsound", path, problem));
}

export function toEdit(
  path: string,
  before: string | null,
  after: string | null,
  summary: readonly string[],
): FileEdit | null {
  return before === after || (before === null && after === "") ? null : { path, before, after, summary };
}

function nameTaken(path: string): ClientRefusal {
  const text = `has another MCP server named "${serverName}". Rename or remove that one and try again; nothing was changed.`;
  return refusal("name_taken", path, text);
}

function editServers(target: ClientTarget, launch: Launch, before: string | null, isPlugin: boolean): FileEdit | null {
  const text = before ?? "";
  const after = isPlugin ? settings.removeServers(text, "") : settings.addServer(text, target.client, launch);
  const verb = settings.ourServers(text).length > 0 ? "corrects" : "adds";
  const summary = isPlugin
    ? "removes the MCP server, which the plugin brings"
    : `${verb} the MCP server "${serverName}"`;
  return toEdit(target.serversFile, before, after, [summary]);
}

interface StatusLinePlan {
  /** Command to write; null leaves the status line unchanged. */
  readonly command: string | null;
  readonly chained: string | null;
  readonly notes: readonly string[];
}

function planStatusLine(target: ClientTarget, launch: Launch, texts: ClientTexts): StatusLinePlan {
  const command = statusLineCommand(launch, target.platform);
  const currentLine = settings.statusLineIn(texts.settings ?? "");
  if (command === null)
    return withoutStatusLine("a path of SHIM holds quotes that the shells of Windows read differently");
  if (currentLine.kind === "unknown") return withoutStatusLine('it is not of type "command"');
  if (currentLine.kind !== "other") return { command, chained: null, notes: [] };
  if (currentLine.command.length > maxStatusLineChars)
    return withoutStatusLine(`it is longer than ${maxStatusLineChars} characters`);
  const kept = json.valueAt(texts.config ?? "", ["statusLine"]);
  const isOther = typeof kept === "string" && kept !== currentLine.command;
  const notes = isOther
    ? [`SHIM's config.json held another status line, "${kept}"; the newer one takes its place.`]
    : [];
  return { command, chained: currentLine.command, notes };
}

function withoutStatusLine(why: string): StatusLinePlan {
  return { command: null, chained: null, notes: [`The status line is left alone: ${why}.`] };
}

/** [IN20] Prefers the MCP server, under its name in the client's file. */
export function hookDelivery(servers: string, version: string | null): settings.HookDelivery {
  const [name = serverName] = settings.ourServers(servers);
  return { server: hasHookTool(version) ? name : null, version };
}

interface SettingsPlan {
  readonly isPlugin: boolean;
  readonly isTodoTools: boolean;
  readonly delivery: settings.HookDelivery;
  readonly line: StatusLinePlan;
}

function editSettings(
  path: string,
  launch: Launch,
  before: string | null,
  { isPlugin, isTodoTools, delivery, line }: SettingsPlan,
): FileEdit | null {
  const text = before ?? "";
  const withHooks = isPlugin ? settings.removeHooks(text, "") : settings.addHooks(text, launch, delivery);
  const withStatusLine = line.command === null ? withHooks : settings.setStatusLine(withHooks, line.command);
  const after = isTodoTools ? settings.enableTodoTools(withStatusLine) : withStatusLine;
  const summary: string[] = [];
  if (withHooks !== text) summary.push(hooksSummary(text, withHooks, isPlugin));
  if (withStatusLine !== withHooks) summary.push(statusLineSummary(text, line));
  if (after !== withStatusLine) summary.push("switches Claude Code's to-do tools on");
  return toEdit(path, before, after, summary);
}

function hasHook(text: string, event: string): boolean {
  return settings.ourHooks(text, event).length > 0;
}

function hooksSummary(before: string, after: string, isPlugin: boolean): string {
  if (isPlugin) return "removes the hooks, which the plugin brings";
  const added = hookEvents.filter((event) => !hasHook(before, event) && hasHook(after, event));
  const parts = [
    added.length > 0 && `adds hooks for ${added.join(", ")}`,
    hookEvents.some((event) => hasHook(before, event)) && "corrects SHIM's hooks",
  ];
  return parts.filter((part) => part !== false).join("; ");
}

function statusLineSummary(text: string, line: StatusLinePlan): string {
  if (line.chained !== null) return `sets SHIM's status line, which runs yours first: ${line.chained}`;
  return settings.statusLineIn(text).kind === "ours" ? "corrects SHIM's status line" : "sets SHIM's status line";
}

function editConfig(
  path: string,
  before: string | null,
  { chained }: StatusLinePlan,
  isTodoTools: boolean,
): FileEdit | null {
  const text = before ?? "";
  const isKept = chained === null || json.valueAt(text, ["statusLine"]) === chained;
  const kept = isKept ? text : json.set(text, ["statusLine"], chained);
  const after = isTodoTools ? json.set(kept, ["todoTools"], true) : kept;
  const summary = [
    ...(isKept ? [] : ["keeps your own status line"]),
    ...(isTodoTools ? ["remembers that the to-do tools were switched on"] : []),
  ];
  return after === text ? null : toEdit(path, before, after, summary);
}

/** [IN22] SHIM does not need the to-do tools, so a person decides. */
function todoNotes(texts: ClientTexts, { claudeVersion, wantsTodoTools }: PlanContext): string[] {
  const isMissing = hasNoTodoTools(claudeVersion) && !settings.isTodoToolsSet(texts.settings ?? "");
  if (!isMissing || wantsTodoTools) return [];
  return [
    "With the newest models this Claude Code has no to-do tools. SHIM does without them; `shim init --todo-tools` switches them on.",
  ];
}

/** Claude Code ignores settings that are not strict JSON and fails to start with such servers. */
function strictnessNotes(target: ClientTarget, texts: ClientTexts): string[] {
  const files = [
    { path: target.serversFile, text: texts.servers },
    { path: target.settingsFile, text: texts.settings },
  ];
  return files
    .filter(({ text }) => text !== null && !json.isStrict(text))
    .map(
      ({ path }) =>
        `${path} has comments or trailing commas, which ${target.label} does not read: remove them, or nothing in it counts.`,
    );
}
