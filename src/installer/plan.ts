import { blockingSince, canBlock, hasHookTool, hasNoTodoTools } from "../contract/hook-tool.ts";
import { allowSummary, listedRules, pluginServer } from "./allow-rules.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { ClientRefusal } from "./client-files.ts";
import { formatOf } from "./client-formats.ts";
import { serverName, statusLineCommand } from "./entries.ts";
import { loadSound, toEdit, type FileEdit, type FileText, type Plan, type PlanContext } from "./file-edits.ts";
import type { Launch } from "../platform/launch.ts";
import { findIgnoredFiles } from "./ignored-files.ts";
import * as json from "./json-text.ts";
import { planProcessHooks } from "./plan-process-hooks.ts";
import { nameTaken, serverEdit } from "./plan-servers.ts";
import { enabledPlugins } from "./plugins.ts";
import { isNameTaken, type ServerList } from "./server-lists.ts";
import * as settings from "./settings-edits.ts";
import type { ClientTarget } from "./targets.ts";
import { planTelemetry, receiverIn, type TelemetryPlan } from "./telemetry-settings.ts";

/** Longest command that config.json's `statusLine` accepts. */
const maxStatusLineChars = 2_000;

/**
 * [IN4] [IN5] [IN6] [IN7] Plans the MCP server, hooks and status line, each once. With the plugin
 * enabled, plans only the status line, which a plugin cannot set. Refuses unsound files.
 */
export function planInstall(target: ClientTarget, launch: Launch, context: PlanContext): Result<Plan, ClientRefusal> {
  const { hooks } = formatOf(target.client);
  const plan = hooks ? planProcessHooks(target, hooks, launch, context) : planEntries(target, launch, context);
  if (!plan.ok) return plan;
  const ignored = findIgnoredFiles(target, context.read).map(({ message }) => message);
  return ok({ ...plan.value, notes: [...plan.value.notes, ...ignored] });
}

function planEntries(target: ClientTarget, launch: Launch, context: PlanContext): Result<Plan, ClientRefusal> {
  const { servers: list } = formatOf(target.client);
  const loaded = load(target, context);
  if (!loaded.ok) return loaded;
  const { servers, settings: current, config } = loaded.value;
  const plugins = enabledPlugins(current.text);
  const isPlugin = plugins.length > 0;
  if (!isPlugin && isNameTaken(list, servers.text)) return err(nameTaken(servers.path));
  const notes = isPlugin
    ? [`The plugin ${plugins.join(", ")} provides the MCP server and the hooks; only the status line is set.`]
    : [];
  const edits = [isPlugin ? withoutServer(servers, list) : serverEdit(servers, target, launch)];
  if (target.settingsFile !== null) {
    const line = planStatusLine(target, launch, loaded.value);
    const isTodoTools = context.wantsTodoTools === true && !settings.isTodoToolsSet(current.text);
    const wantsBlocking = asksToBlock(config.text);
    const delivery = hookDelivery(servers.text, context.claudeVersion, target.platform, wantsBlocking);
    const { path: settingsFile, text } = current;
    const receiver = receiverIn(config.text);
    const telemetry = planTelemetry({ settings: text, settingsFile, receiver }, context.telemetry);
    const allowed = findAllowed(context, isPlugin, servers.text);
    edits.push(editSettings(current, launch, { isPlugin, isTodoTools, delivery, line, telemetry, allowed }));
    edits.push(editConfig(config, line, isTodoTools, telemetry));
    notes.push(...telemetry.notes, ...line.notes, ...versionNotes(context), ...todoNotes(current.text, context));
    if (wantsBlocking && (isPlugin || !delivery.isBlocking)) notes.push(notBlocking(isPlugin));
  }
  return ok({ action: "install", target, edits: edits.filter((edit) => edit !== null), notes });
}

/** Settings and config are empty for a client without settings. */
export interface ClientTexts {
  readonly servers: FileText;
  readonly settings: FileText;
  readonly config: FileText;
}

export function load(target: ClientTarget, { read, shimConfig }: PlanContext): Result<ClientTexts, ClientRefusal> {
  const hasSettings = target.settingsFile !== null;
  const servers = loadSound(read, target.serversFile, settings.shapeProblem);
  if (!servers.ok) return servers;
  const current = loadSound(read, target.settingsFile, settings.shapeProblem);
  if (!current.ok) return current;
  const config = loadSound(read, hasSettings ? shimConfig : null, settings.shapeProblem);
  if (!config.ok) return config;
  return ok({ servers: servers.value, settings: current.value, config: config.value });
}

/** [IN7] The plugin brings the server. */
function withoutServer(file: FileText, list: ServerList): FileEdit | null {
  return toEdit(file, list.remove(file.text, ""), ["removes the MCP server, which the plugin provides"]);
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
export function hookDelivery(
  servers: string,
  version: string | null,
  platform: NodeJS.Platform,
  wantsBlocking: boolean,
): settings.HookDelivery {
  const isBlocking = wantsBlocking && canBlock(version);
  return { server: hasHookTool(version) ? serverIn(servers) : null, version, platform, isBlocking };
}

/** @param config SHIM's config.json */
export function asksToBlock(config: string): boolean {
  return json.valueAt(config, ["team", "blockUnchecked"]) === true;
}

/** Why calls that SHIM could not check are not blocked, although the user asks for it. */
export function notBlocking(isPlugin: boolean): string {
  const why = isPlugin ? "the plugin's hooks cannot block" : `Claude Code ${blockingSince} or later is needed`;
  return `team.blockUnchecked has no effect: ${why}, so a tool call that SHIM could not check continues.`;
}

export function serverIn(servers: string): string {
  return formatOf("claude-code").servers.ours(servers)[0] ?? serverName;
}

interface SettingsPlan {
  readonly isPlugin: boolean;
  readonly isTodoTools: boolean;
  readonly delivery: settings.HookDelivery;
  readonly line: StatusLinePlan;
  readonly telemetry: TelemetryPlan;
  /** The server whose tools are allowed; null: the rules stay as they are. */
  readonly allowed: string | null;
}

function editSettings(
  file: FileText,
  launch: Launch,
  { isPlugin, isTodoTools, delivery, line, telemetry, allowed }: SettingsPlan,
): FileEdit | null {
  const text = telemetry.settings;
  const withHooks = isPlugin ? settings.removeHooks(text, "") : settings.addHooks(text, launch, delivery);
  const withStatusLine = line.command === null ? withHooks : settings.setStatusLine(withHooks, line.command);
  const withTodoTools = isTodoTools ? settings.enableTodoTools(withStatusLine) : withStatusLine;
  const after = allowed === null ? withTodoTools : listedRules.add(withTodoTools, allowed);
  const summary: string[] = [];
  if (text !== file.text) summary.push(telemetrySummary(telemetry));
  if (withHooks !== text)
    summary.push(isPlugin ? "removes the hooks, which the plugin provides" : settings.hooksSummary(text, withHooks));
  if (withStatusLine !== withHooks) summary.push(statusLineSummary(text, line));
  return toEdit(file, after, [...summary, ...toolSummaries(withStatusLine, withTodoTools, after)]);
}

function toolSummaries(before: string, withTodoTools: string, after: string): string[] {
  return [
    ...(withTodoTools === before ? [] : ["switches Claude Code's to-do tools on"]),
    ...allowSummary(withTodoTools, after),
  ];
}

function findAllowed({ allowsTools }: PlanContext, isPlugin: boolean, servers: string): string | null {
  if (allowsTools !== true) return null;
  return isPlugin ? pluginServer : serverIn(servers);
}

function telemetrySummary({ receiver }: TelemetryPlan): string {
  return receiver === null
    ? "switches Claude Code's telemetry to SHIM off"
    : `switches Claude Code's telemetry on, to SHIM on port ${receiver.port} of this machine`;
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

/** [IN25] */
function versionNotes({ claudeVersion }: PlanContext): string[] {
  if (claudeVersion !== null) return [];
  return [
    "`claude` is not on the PATH, so the version of Claude Code is not known, and each event starts a process: hooks that every version has, but slower. With `claude` on the PATH `shim init` changes them.",
  ];
}

/** [IN22] SHIM does not need the to-do tools, so a person decides. */
function todoNotes(text: string, { claudeVersion, wantsTodoTools }: PlanContext): string[] {
  const isMissing = hasNoTodoTools(claudeVersion) && !settings.isTodoToolsSet(text);
  if (!isMissing || wantsTodoTools) return [];
  return [
    "With the newest models this Claude Code has no to-do tools. SHIM does without them; `shim init --todo-tools` switches them on.",
  ];
}
