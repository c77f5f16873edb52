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
import { planTelemetry, receiverIn, type TelemetryPlan, type TelemetryRequest } from "./telemetry-settings.ts";

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
  /** Undefined: the telemetry stays as it is. */
  readonly telemetry?: TelemetryRequest | undefined;
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
  const { servers, settings: current, config } = loaded.value;
  const plugins = enabledPlugins(current.text);
  const isPlugin = plugins.length > 0;
  if (!isPlugin && settings.isNameTaken(servers.text)) return err(nameTaken(servers.path));
  const notes = isPlugin
    ? [`The plugin ${plugins.join(", ")} provides the MCP server and the hooks; only the status line is set.`]
    : [];
  const edits = [editServers(servers, target, launch, isPlugin)];
  if (target.settingsFile !== null) {
    const line = planStatusLine(target, launch, loaded.value);
    const isTodoTools = context.wantsTodoTools === true && !settings.isTodoToolsSet(current.text);
    const delivery = hookDelivery(servers.text, context.claudeVersion);
    const { path: settingsFile, text } = current;
    const receiver = receiverIn(config.text);
    const telemetry = planTelemetry({ settings: text, settingsFile, receiver }, context.telemetry);
    edits.push(editSettings(current, launch, { isPlugin, isTodoTools, delivery, line, telemetry }));
    edits.push(editConfig(config, line, isTodoTools, telemetry));
    notes.push(
      ...telemetry.notes,
      ...line.notes,
      ...strictnessNotes(target, loaded.value),
      ...todoNotes(current.text, context),
    );
  }
  return ok({ action: "install", target, edits: edits.filter((edit) => edit !== null), notes });
}

export interface FileText {
  readonly path: string;
  /** Null if there is no file. */
  readonly before: string | null;
  readonly text: string;
}

/** Settings and config are empty for a client without settings. */
export interface ClientTexts {
  readonly servers: FileText;
  readonly settings: FileText;
  readonly config: FileText;
}

export function load(target: ClientTarget, { read, shimConfig }: PlanContext): Result<ClientTexts, ClientRefusal> {
  const hasSettings = target.settingsFile !== null;
  const servers = loadOne(read, target.serversFile);
  if (!servers.ok) return servers;
  const current = loadOne(read, target.settingsFile);
  if (!current.ok) return current;
  const config = loadOne(read, hasSettings ? shimConfig : null);
  if (!config.ok) return config;
  return ok({ servers: servers.value, settings: current.value, config: config.value });
}

function loadOne(read: ReadText, path: string | null): Result<FileText, ClientRefusal> {
  if (path === null) return ok({ path: "", before: null, text: "" });
  const file = read(path);
  if (!file.ok) return file;
  const text = file.value ?? "";
  const problem = settings.shapeProblem(text);
  return problem === null ? ok({ path, before: file.value, text }) : err(refusal("config_unsound", path, problem));
}

export function toEdit({ path, before }: FileText, after: string | null, summary: readonly string[]): FileEdit | null {
  return before === after || (before === null && after === "") ? null : { path, before, after, summary };
}

function nameTaken(path: string): ClientRefusal {
  const text = `has another MCP server named "${serverName}". Rename or remove that one and try again; nothing was changed.`;
  return refusal("name_taken", path, text);
}

function editServers(file: FileText, target: ClientTarget, launch: Launch, isPlugin: boolean): FileEdit | null {
  const { text } = file;
  const after = isPlugin ? settings.removeServers(text, "") : settings.addServer(text, target.client, launch);
  const verb = settings.ourServers(text).length > 0 ? "corrects" : "adds";
  const summary = isPlugin
    ? "removes the MCP server, which the plugin provides"
    : `${verb} the MCP server "${serverName}"`;
  return toEdit(file, after, [summary]);
}

interface StatusLinePlan {
  /** Command to write; null leaves the status line unchanged. */
  readonly command: string | null;
  readonly chained: string | null;
  readonly notes: readonly string[];
}

function planStatusLine(target: ClientTarget, launch: Launch, texts: ClientTexts): StatusLinePlan {
  const command = statusLineCommand(launch, target.platform);
  const currentLine = settings.statusLineIn(texts.settings.text);
  if (command === null)
    return withoutStatusLine("a path of SHIM holds quotes that the shells of Windows read differently");
  if (currentLine.kind === "unknown") return withoutStatusLine('it is not of type "command"');
  if (currentLine.kind !== "other") return { command, chained: null, notes: [] };
  if (currentLine.command.length > maxStatusLineChars)
    return withoutStatusLine(`it is longer than ${maxStatusLineChars} characters`);
  const kept = json.valueAt(texts.config.text, ["statusLine"]);
  const isOther = typeof kept === "string" && kept !== currentLine.command;
  const notes = isOther ? [`SHIM's config.json held another status line, "${kept}"; the newer one replaces it.`] : [];
  return { command, chained: currentLine.command, notes };
}

function withoutStatusLine(why: string): StatusLinePlan {
  return { command: null, chained: null, notes: [`The status line is left unchanged: ${why}.`] };
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
  readonly telemetry: TelemetryPlan;
}

function editSettings(
  file: FileText,
  launch: Launch,
  { isPlugin, isTodoTools, delivery, line, telemetry }: SettingsPlan,
): FileEdit | null {
  const text = telemetry.settings;
  const withHooks = isPlugin ? settings.removeHooks(text, "") : settings.addHooks(text, launch, delivery);
  const withStatusLine = line.command === null ? withHooks : settings.setStatusLine(withHooks, line.command);
  const after = isTodoTools ? settings.enableTodoTools(withStatusLine) : withStatusLine;
  const summary: string[] = [];
  if (text !== file.text) summary.push(telemetrySummary(telemetry));
  if (withHooks !== text) summary.push(hooksSummary(text, withHooks, isPlugin));
  if (withStatusLine !== withHooks) summary.push(statusLineSummary(text, line));
  if (after !== withStatusLine) summary.push("switches Claude Code's to-do tools on");
  return toEdit(file, after, summary);
}

function telemetrySummary({ receiver }: TelemetryPlan): string {
  return receiver === null
    ? "switches Claude Code's telemetry to SHIM off"
    : `switches Claude Code's telemetry on, to SHIM on port ${receiver.port} of this machine`;
}

function hasHook(text: string, event: string): boolean {
  return settings.ourHooks(text, event).length > 0;
}

function hooksSummary(before: string, after: string, isPlugin: boolean): string {
  if (isPlugin) return "removes the hooks, which the plugin provides";
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
  file: FileText,
  { chained }: StatusLinePlan,
  isTodoTools: boolean,
  telemetry: TelemetryPlan,
): FileEdit | null {
  const text = withReceiver(file.text, telemetry);
  const isKept = chained === null || json.valueAt(text, ["statusLine"]) === chained;
  const kept = isKept ? text : json.set(text, ["statusLine"], chained);
  const after = isTodoTools ? json.set(kept, ["todoTools"], true) : kept;
  const summary = [
    ...(text === file.text ? [] : [telemetry.receiver ? "receives the telemetry" : "receives no telemetry"]),
    ...(isKept ? [] : ["keeps your own status line"]),
    ...(isTodoTools ? ["remembers that the to-do tools were switched on"] : []),
  ];
  return after === file.text ? null : toEdit(file, after, summary);
}

function withReceiver(text: string, { receiver }: TelemetryPlan): string {
  if (JSON.stringify(receiver) === JSON.stringify(receiverIn(text))) return text;
  return receiver === null ? json.remove(text, ["telemetry"]) : json.set(text, ["telemetry"], receiver);
}

/** [IN22] SHIM does not need the to-do tools, so a person decides. */
function todoNotes(text: string, { claudeVersion, wantsTodoTools }: PlanContext): string[] {
  const isMissing = hasNoTodoTools(claudeVersion) && !settings.isTodoToolsSet(text);
  if (!isMissing || wantsTodoTools) return [];
  return [
    "With the newest models this Claude Code has no to-do tools. SHIM does without them; `shim init --todo-tools` switches them on.",
  ];
}

/** Claude Code ignores settings that are not strict JSON and fails to start with such servers. */
function strictnessNotes(target: ClientTarget, texts: ClientTexts): string[] {
  return [texts.servers, texts.settings]
    .filter(({ text }) => !json.isStrict(text))
    .map(
      ({ path }) =>
        `${path} has comments or trailing commas, which ${target.label} does not read: remove them, or the whole file is ignored.`,
    );
}
