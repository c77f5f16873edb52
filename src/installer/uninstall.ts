import { ok, type Result } from "../shared/result.ts";
import { hashOf, type Backup, type BackupFile } from "./backups.ts";
import type { ClientRefusal } from "./client-files.ts";
import * as json from "./json-text.ts";
import { toEdit, load, type FileEdit, type ClientTexts, type Plan, type PlanContext } from "./plan.ts";
import * as settings from "./settings-edits.ts";
import type { ClientTarget } from "./targets.ts";

export interface UninstallContext extends PlanContext {
  /** Oldest first. */
  readonly backups: readonly Backup[];
}

/**
 * [IN10] [IN11] The edits that take SHIM out of a client. A file that is byte for byte as SHIM wrote it becomes what it was
 * before the first install, or is deleted if there was none; in a file that was changed since, only SHIM's entries go.
 */
export function planUninstall(target: ClientTarget, context: UninstallContext): Result<Plan, ClientRefusal> {
  const { settingsFile } = target;
  const { shimConfig, backups } = context;
  const loaded = load(target, context);
  if (!loaded.ok) return loaded;
  const texts = loaded.value;
  const edits = [editServers(target.serversFile, texts.servers, backups)];
  if (settingsFile !== null) {
    const kept = keptStatusLine(texts, listInstalls(settingsFile, backups), listInstalls(shimConfig, backups));
    const isTodoTools = json.valueAt(texts.config ?? "", ["todoTools"]) === true;
    edits.push(editSettings(settingsFile, texts.settings, backups, kept, isTodoTools));
    edits.push(editConfig(shimConfig, texts.config, backups, kept));
  }
  return ok({ action: "uninstall", target, edits: edits.filter((edit) => edit !== null), notes: [] });
}

function editServers(path: string, before: string | null, backups: readonly Backup[]): FileEdit | null {
  const removal = removeEntries(path, before, backups, (text, original) => settings.removeServers(text, original));
  return toEdit(path, before, removal.text, [`removes the MCP server${removal.how}`]);
}

function editSettings(
  path: string,
  before: string | null,
  backups: readonly Backup[],
  kept: string | null,
  isTodoTools: boolean,
): FileEdit | null {
  const { text, how } = removeEntries(path, before, backups, (text, original) => {
    const rest = settings.restoreStatusLine(settings.removeHooks(text, original), kept);
    return isTodoTools ? settings.removeTodoTools(rest, original) : rest;
  });
  const summary = [`removes the hooks and SHIM's status line${how}`];
  if (kept !== null && text !== null && before !== text) summary.push(`puts your status line back: ${kept}`);
  return toEdit(path, before, text, summary);
}

function editConfig(
  path: string,
  before: string | null,
  backups: readonly Backup[],
  kept: string | null,
): FileEdit | null {
  const { text } = removeEntries(path, before, backups, (text) => {
    const rest = json.valueAt(text, ["todoTools"]) === true ? json.remove(text, ["todoTools"]) : text;
    return kept !== null && json.valueAt(rest, ["statusLine"]) === kept ? json.remove(rest, ["statusLine"]) : rest;
  });
  return toEdit(path, before, text, ["gives your own status line back"]);
}

/**
 * The command that stood in the status line's place before SHIM's, or that the user put into SHIM's config.json since. One
 * that he had there before SHIM came, without a status line of his own, is none.
 */
function keptStatusLine(
  texts: ClientTexts,
  settingsInstalls: readonly BackupFile[],
  configInstalls: readonly BackupFile[],
): string | null {
  const isOurs = settings.statusLineIn(texts.settings ?? "").kind === "ours";
  const isChained = configInstalls.length > 0 || settingsInstalls.length === 0;
  const chained = isOurs && isChained ? json.valueAt(texts.config ?? "", ["statusLine"]) : null;
  return typeof chained === "string" ? chained : statusLineBefore(settingsInstalls);
}

function statusLineBefore([first]: readonly BackupFile[]): string | null {
  const line = settings.statusLineIn(first?.before ?? "");
  return line.kind === "other" ? line.command : null;
}

interface RemovalResult {
  readonly text: string | null;
  /** End of the sentence that tells what was removed. */
  readonly how: string;
}

/** The text without what SHIM put in; `original` is what the user had before. */
type RemoveEntries = (text: string, original: string) => string;

const withFile = ", with the file that SHIM made";

function removeEntries(
  path: string,
  before: string | null,
  backups: readonly Backup[],
  without: RemoveEntries,
): RemovalResult {
  if (before === null) return { text: null, how: "" };
  const installs = listInstalls(path, backups);
  const restored = restore(before, installs, without);
  if (restored) return restored;
  const [first] = installs;
  const text = without(before, first?.before ?? "");
  if (first?.before === null && text !== before && isEmptied(text)) return { text: null, how: withFile };
  return { text, how: "" };
}

/** Null where the file was changed since, or where an older install that the user had edited stands below the newest one. */
function restore(before: string, installs: readonly BackupFile[], without: RemoveEntries): RemovalResult | null {
  const exact = originalText(before, installs);
  if (!exact) return null;
  if (exact.text === null) return { text: null, how: withFile };
  return isWithout(exact.text, without) ? { text: exact.text, how: "; the file is as it was" } : null;
}

function isWithout(text: string, without: RemoveEntries): boolean {
  return without(text, "") === text;
}

/** What the file was before SHIM, from the text that is there through each install that wrote it; null: it was changed since. */
function originalText(current: string, installs: readonly BackupFile[]): { readonly text: string | null } | null {
  let text: string | null = current;
  for (const file of installs.toReversed()) if (text !== null && file.after === hashOf(text)) text = file.before;
  return text === current ? null : { text };
}

/** What installs did to the file since the last uninstall, oldest first. */
function listInstalls(path: string, backups: readonly Backup[]): BackupFile[] {
  const relevantBackups = backups.filter(({ files }) => files.some((file) => file.path === path));
  const last = relevantBackups.findLastIndex(({ action }) => action === "uninstall");
  return relevantBackups.slice(last + 1).flatMap(({ files }) => files.filter((file) => file.path === path));
}

/** Nothing of the user's is left: no key, no comment. */
function isEmptied(text: string): boolean {
  return json.isStrict(text) && Object.keys(json.valueAt(text, []) ?? {}).length === 0;
}
