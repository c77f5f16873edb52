import { lstatSync, readFileSync, readlinkSync, rmdirSync, type Stats, existsSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { parse } from "jsonc-parser";
import type { Config } from "../contract/config.ts";
import { parseConfig, readConfig } from "../platform/config-file.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import type { Launch } from "../platform/shim-command.ts";
import { codeOf, messageOf } from "../shared/error.ts";
import type { JsonObject } from "../shared/json-fields.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { settingAt } from "../shared/setting-keys.ts";
import { type Settings, formatOf, update, objectIn } from "./settings.ts";
import type { ClientTarget } from "./targets.ts";

export interface ChangedFile {
  readonly path: string;
  /** SHA-256 of the new text; null when the file was deleted. */
  readonly after: string | null;
  /** Made for the file, outermost first. */
  readonly folders: readonly string[];
}

export interface BackupFile extends ChangedFile {
  readonly before: string | null;
}

export interface Backup {
  readonly action: Plan["action"];
  readonly files: readonly BackupFile[];
}

/** Part of SHIM in the files of a client. */
export type Piece = "MCP server" | "hooks" | "trust in hooks" | "status line" | "allowed tools" | "slash commands";

/** A change in words; the piece is null for one of the file as a whole. */
export interface Said {
  readonly piece: Piece | null;
  /** For a person, where it changes something. */
  readonly says: string;
}

export interface FileEdit {
  readonly path: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly summary: readonly Said[];
  /** Made for a file that is deleted, outermost first; the empty ones go with it. */
  readonly folders?: readonly string[];
}

export interface Plan {
  readonly action: "install" | "uninstall";
  readonly target: ClientTarget;
  readonly edits: readonly FileEdit[];
  readonly notes: readonly string[];
  /** Why the client stays unconnected all the same; a user hears it before the question. */
  readonly obstacles: readonly string[];
}

export interface PlanContext {
  readonly read: ReadText;
  readonly launch: Launch;
  readonly backups: readonly Backup[];
  readonly claudeVersion: string | null;
  /** Whether the client is to run SHIM's harmless tools without asking. */
  readonly allowsTools?: boolean;
}

/** A settings file as it is. */
export interface SettingsFile {
  readonly path: string;
  /** Null if there is no file. */
  readonly before: string | null;
  readonly text: string;
  readonly root: JsonObject;
}

/** @param problemIn a shape that is not expected, in words; null where there is none */
export function loadSound(
  read: ReadText,
  path: string,
  problemIn: (root: JsonObject) => string | null,
): Result<SettingsFile, ClientRefusal> {
  const file = read(path);
  if (!file.ok) return file;
  const text = file.value ?? "";
  const format = formatOf(path);
  const problem = format.findProblem(text) ?? problemIn(format.read(text));
  if (problem === null) return ok({ path, before: file.value, text, root: format.read(text) });
  return err(refusal("config_unsound", path, `${problem}. Correct it and try again.`));
}

/** A change of the settings in one file, in words and by its work. */
type Change = readonly [says: string, apply: (root: Settings, original: JsonObject) => void];

/** Something that SHIM has in one file: what sets it and what removes it. */
export interface Entry {
  readonly file: SettingsFile;
  readonly piece: Piece;
  /** Change of an install; null: it leaves the piece as it is. */
  readonly add: Change | null;
  readonly remove: Change;
}

export interface PieceChange {
  readonly piece: Piece;
  readonly change: Change;
}

/** Entries that belong together, and what a person should know of them. */
export interface Part {
  readonly entries: readonly Entry[];
  readonly notes: readonly string[];
}

/** @param original the file before SHIM */
export function changeText(
  path: string,
  text: string,
  changes: readonly PieceChange[],
  original = "",
): { readonly text: string; readonly summary: readonly Said[] } {
  const format = formatOf(path);
  const before = format.read(original);
  const summary: Said[] = [];
  const changeAll = (root: Settings): void => {
    for (const { piece, change } of changes) {
      const [says, apply] = change;
      const unchanged = JSON.stringify(root);
      apply(root, before);
      if (JSON.stringify(root) !== unchanged) summary.push({ piece, says });
    }
  };
  return { text: update(format, text, changeAll, before), summary };
}

/** Refusal to edit a client's settings. `message` is for people and says what to do. */
export interface ClientRefusal {
  readonly code:
    | "config_unreadable"
    | "config_unsound"
    | "config_ignored"
    | "name_taken"
    | "config_changed"
    | "write_failed";
  readonly path: string;
  readonly message: string;
}

export type ReadText = (path: string) => Result<string | null, ClientRefusal>;

/** Keeps the byte order mark, so that encoding the text again gives the same bytes. */
export function readText(path: string): Result<string | null, ClientRefusal> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (isMissing(error)) return ok(null);
    return err(
      refusal("config_unreadable", path, `cannot be read: ${messageOf(error)}. Allow reading it and try again.`),
    );
  }
  try {
    return ok(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return err(refusal("config_unreadable", path, "is not UTF-8 text. Save it as UTF-8 and try again."));
  }
}

export function refusal(code: ClientRefusal["code"], path: string, message: string): ClientRefusal {
  return { code, path, message: `${path} ${message}` };
}

/** ENOTDIR: a file has the name of one of the path's folders, so the path does not exist. */
export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

export function statLink(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

export function linkTarget(path: string): string | null {
  return statLink(path)?.isSymbolicLink() === true ? readlinkSync(path) : null;
}

/** Outermost first. */
export function missingFolders(folder: string): string[] {
  if (statLink(folder) !== null) return [];
  return [...missingFolders(dirname(folder)), folder];
}

/** @param folders outermost first; those that hold something else stay */
export function removeEmptied(folders: readonly string[]): void {
  for (const folder of folders.toReversed()) {
    try {
      rmdirSync(folder);
    } catch {
      // Something else has been put there since.
    }
  }
}

/**
 * Changes one setting of config.json; its comments stay. Writes only a file that is valid
 * before and after.
 *
 * @param value undefined: back to the default
 * @returns the new settings, or why nothing was changed
 */
export function editConfig(path: string, key: string, value: unknown): Result<Config, string> {
  const text = textOf(path);
  const before = readConfig(path);
  if (!before.ok) return before;
  // Without a file every setting has its default.
  if (value === undefined && !isConfigured(path, key)) return before;
  const keys = key.split(".");
  const edited = update(formatOf(path), text, (root) => {
    const section = keys.slice(0, -1).reduce((parent, name) => objectIn(parent, name), root);
    section[keys.at(-1) ?? ""] = value;
  });
  const after = parseConfig(withoutBom(edited), path);
  if (!after.ok) return err(after.error.replace(`${path}: `, ""));
  if (edited !== text) {
    createPrivateFolder(dirname(path));
    // The file may be a link to settings kept elsewhere.
    const file = existsSync(path) ? realpathSync(path) : path;
    writeAtomically(file, edited.endsWith("\n") ? edited : `${edited}\n`, { mode: 0o600 });
  }
  return ok(after.value);
}

/** Returns whether the file itself has the setting; false for a file that is not valid. */
function isConfigured(path: string, key: string): boolean {
  return settingAt(parse(withoutBom(textOf(path))), key) !== undefined;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw error;
  }
}

function withoutBom(text: string): string {
  return text.replace(/^\uFEFF/, "");
}
