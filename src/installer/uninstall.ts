import type { TelemetrySettings } from "../contract/config.ts";
import { ok, type Result } from "../shared/result.ts";
import { hashOf, type Backup, type BackupFile } from "./backups.ts";
import type { ClientRefusal } from "./client-files.ts";
import { listedRules, pluginServer } from "./allow-rules.ts";
import { formatOf } from "./client-formats.ts";
import { serverName } from "./entries.ts";
import type { HookList } from "./hook-lists.ts";
import * as json from "./json-text.ts";
import { toEdit, type FileEdit, type FileText, type Plan, type PlanContext } from "./file-edits.ts";
import { load, serverIn, type ClientTexts } from "./plan.ts";
import { loadHookTexts } from "./plan-process-hooks.ts";
import * as settings from "./settings-edits.ts";
import type { ClientTarget } from "./targets.ts";
import { disable, receiverIn } from "./telemetry-settings.ts";
import { trustKeys, withoutTrust } from "./trust-entries.ts";

export interface UninstallContext extends PlanContext {
  readonly backups: readonly Backup[];
}

/**
 * [IN10] [IN11] Restores a file that is byte for byte as SHIM wrote it, or deletes it if there was
 * none before; a file changed since loses only SHIM's entries.
 */
export function planUninstall(target: ClientTarget, context: UninstallContext): Result<Plan, ClientRefusal> {
  const { settingsFile } = target;
  const { hooks } = formatOf(target.client);
  if (hooks) return planProcessHooksRemoval(target, hooks, context);
  const { shimConfig, backups } = context;
  const loaded = load(target, context);
  if (!loaded.ok) return loaded;
  const { servers, settings: current, config } = loaded.value;
  const list = formatOf(target.client).servers;
  const edits = [editServers(servers, backups, (text, original) => list.remove(text, original))];
  if (settingsFile !== null) {
    const kept = keptStatusLine(loaded.value, listInstalls(settingsFile, backups), listInstalls(shimConfig, backups));
    const isTodoTools = json.valueAt(config.text, ["todoTools"]) === true;
    const receiver = receiverIn(config.text);
    const server = serverIn(servers.text);
    edits.push(
      editSettings(current, backups, { kept, isTodoTools, receiver, server }),
      editConfig(config, backups, kept),
    );
  }
  return ok(toPlan(target, edits, backups));
}

function toPlan(target: ClientTarget, edits: readonly (FileEdit | null)[], backups: readonly Backup[]): Plan {
  const foldersOf = (path: string): string[] => listInstalls(path, backups).flatMap(({ folders }) => folders);
  const found = edits.flatMap((edit) => {
    if (edit?.after !== null) return edit ?? [];
    return [Object.assign({}, edit, { folders: foldersOf(edit.path) })];
  });
  return { action: "uninstall", target, edits: found, notes: [] };
}

/** [IN34] The trust in the hooks stands beside the servers. */
function planProcessHooksRemoval(
  target: ClientTarget,
  hooks: HookList,
  { read, backups }: UninstallContext,
): Result<Plan, ClientRefusal> {
  const loaded = loadHookTexts(target, hooks, read);
  if (!loaded.ok) return loaded;
  const { list, servers, hooks: current, isOne } = loaded.value;
  const { rules } = formatOf(target.client);
  const withoutServer: RemoveEntries = (text, original) => {
    const withoutRules = rules?.remove(text, list.ours(text)[0] ?? serverName, original) ?? text;
    const rest = list.remove(withoutRules, original);
    return target.client === "codex" ? withoutTrust(rest, trustKeys(current, hooks.events), original) : rest;
  };
  const withoutHooks: RemoveEntries = (text, original) => {
    const isThere = hooks.events.some((event) => hooks.handlers(text, event).length > 0);
    return isThere ? hooks.remove(text, original) : text;
  };
  const without = removeEntries(current, backups, (text, original) =>
    withoutHooks(isOne ? withoutServer(text, original) : text, original),
  );
  const what = isOne ? "removes the MCP server and the hooks" : "removes the hooks";
  const edits = [
    isOne ? null : editServers(servers, backups, withoutServer),
    toEdit(current, without.text, [`${what}${without.how}`]),
  ];
  return ok(toPlan(target, edits, backups));
}

function editServers(file: FileText, backups: readonly Backup[], without: RemoveEntries): FileEdit | null {
  const { text, how } = removeEntries(file, backups, without);
  return toEdit(file, text, [`removes the MCP server${how}`]);
}

interface AddedSettings {
  /** The user's own status line. */
  readonly kept: string | null;
  readonly isTodoTools: boolean;
  readonly receiver: TelemetrySettings | null;
  /** Name of SHIM's MCP server. */
  readonly server: string;
}

function editSettings(
  file: FileText,
  backups: readonly Backup[],
  { kept, isTodoTools, receiver, server }: AddedSettings,
): FileEdit | null {
  const { text, how } = removeEntries(file, backups, (text, original) => {
    const withoutTelemetry = receiver ? disable(text, receiver, original) : text;
    const withoutRules = [server, pluginServer].reduce(
      (left, name) => listedRules.remove(left, name, original),
      withoutTelemetry,
    );
    const rest = settings.restoreStatusLine(settings.removeHooks(withoutRules, original), kept);
    return isTodoTools ? settings.removeTodoTools(rest, original) : rest;
  });
  const summary = [`removes the hooks and SHIM's status line${how}`];
  if (kept !== null && text !== null && file.before !== text) summary.push(`restores your status line: ${kept}`);
  return toEdit(file, text, summary);
}

function editConfig(file: FileText, backups: readonly Backup[], kept: string | null): FileEdit | null {
  const { text } = removeEntries(file, backups, (text) => {
    const off = receiverIn(text) === null ? text : json.remove(text, ["telemetry"]);
    const rest = json.valueAt(off, ["todoTools"]) === true ? json.remove(off, ["todoTools"]) : off;
    return kept !== null && json.valueAt(rest, ["statusLine"]) === kept ? json.remove(rest, ["statusLine"]) : rest;
  });
  return toEdit(file, text, ["restores your own status line"]);
}

/**
 * Finds the status line before SHIM's, or one put into SHIM's config.json since. A command that was
 * there before SHIM, without a status line, does not count.
 */
function keptStatusLine(
  texts: ClientTexts,
  settingsInstalls: readonly BackupFile[],
  configInstalls: readonly BackupFile[],
): string | null {
  const isOurs = settings.statusLineIn(texts.settings.text).kind === "ours";
  const isChained = configInstalls.length > 0 || settingsInstalls.length === 0;
  const chained = isOurs && isChained ? json.valueAt(texts.config.text, ["statusLine"]) : null;
  return typeof chained === "string" ? chained : statusLineBefore(settingsInstalls);
}

function statusLineBefore([first]: readonly BackupFile[]): string | null {
  const line = settings.statusLineIn(first?.before ?? "");
  return line.kind === "other" ? line.command : null;
}

interface RemovalResult {
  readonly text: string | null;
  readonly how: string;
}

type RemoveEntries = (text: string, original: string) => string;

const withFile = ", with the file that SHIM made";

function removeEntries({ path, before }: FileText, backups: readonly Backup[], without: RemoveEntries): RemovalResult {
  if (before === null) return { text: null, how: "" };
  const installs = listInstalls(path, backups);
  const restored = restore(before, installs, without);
  if (restored) return restored;
  const [first] = installs;
  const text = without(before, first?.before ?? "");
  if (first?.before === null && text !== before && isEmptied(text)) return { text: null, how: withFile };
  return { text, how: "" };
}

/** Returns null where the file was changed since, or edited between two installs. */
function restore(before: string, installs: readonly BackupFile[], without: RemoveEntries): RemovalResult | null {
  const exact = originalText(before, installs);
  if (!exact) return null;
  if (exact.text === null) return { text: null, how: withFile };
  return without(exact.text, "") === exact.text ? { text: exact.text, how: "; the file is restored exactly" } : null;
}

/** Rolls back each install whose result matches, newest first; null when none matches. */
function originalText(current: string, installs: readonly BackupFile[]): { readonly text: string | null } | null {
  let text: string | null = current;
  for (const file of installs.toReversed()) if (text !== null && file.after === hashOf(text)) text = file.before;
  return text === current ? null : { text };
}

/** Lists the installs since the last uninstall, oldest first. */
function listInstalls(path: string, backups: readonly Backup[]): BackupFile[] {
  const relevantBackups = backups.filter(({ files }) => files.some((file) => file.path === path));
  const last = relevantBackups.findLastIndex(({ action }) => action === "uninstall");
  return relevantBackups.slice(last + 1).flatMap(({ files }) => files.filter((file) => file.path === path));
}

function isEmptied(text: string): boolean {
  if (text === "") return true;
  return json.isStrict(text) && Object.keys(json.valueAt(text, []) ?? {}).length === 0;
}
