import type { Launch } from "../platform/launch.ts";
import type { JsonObject } from "../shared/json-fields.ts";
import { type Result, err, ok } from "../shared/result.ts";
import type { Backup } from "./apply.ts";
import { type ClientRefusal, type ReadText, refusal } from "./client-files.ts";
import { type Settings, formatOf, update } from "./settings.ts";
import type { ClientTarget } from "./targets.ts";

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
}

export interface PlanContext {
  /** The setting `team.blockUnchecked`. */
  readonly wantsBlocking: boolean;
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
