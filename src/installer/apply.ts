import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { createPrivateFolder, syncFolder, writeAtomically } from "../platform/private-files.ts";
import { findRealPath } from "../platform/shim-command.ts";
import { codeOf, messageOf } from "../shared/error.ts";
import { parseObject } from "../shared/json-fields.ts";
import { type Result, err, ok } from "../shared/result.ts";
import {
  type ClientRefusal,
  isMissing,
  linkTarget,
  missingFolders,
  readText,
  refusal,
  removeEmptied,
} from "./client-files.ts";
import type { FileEdit, Plan } from "./file-edits.ts";

export interface ApplyResult {
  /** Folder with the original files; null when there was nothing to change. */
  readonly backup: string | null;
  readonly changed: readonly string[];
}

interface ApplyContext {
  /** Epoch milliseconds; names the backup. */
  readonly now: number;
  readonly backups: string;
}

/** [IN8] [IN9] Carries out all edits of a plan or none; refuses a file changed since the plan. */
export function apply(plan: Plan, { now, backups }: ApplyContext): Result<ApplyResult, ClientRefusal> {
  if (plan.edits.length === 0) return ok({ backup: null, changed: [] });
  for (const edit of plan.edits) {
    const problem = findChangeSince(edit) ?? findDanglingLink(edit);
    if (problem) return err(problem);
  }
  let backup: string;
  try {
    backup = create(backups, plan, now);
  } catch (error) {
    return err(refusal("write_failed", backups, `cannot create the backup: ${messageOf(error)}. Nothing was changed.`));
  }
  const applied: FileEdit[] = [];
  for (const edit of plan.edits) {
    const failure = applyEdit(edit);
    if (failure) return err(rollBack(applied, failure, backup));
    applied.push(edit);
  }
  return ok({ backup, changed: plan.edits.map(({ path }) => path) });
}

function findChangeSince({ path, before }: FileEdit): ClientRefusal | null {
  const text = readText(path);
  if (!text.ok) return text.error;
  if (text.value === before) return null;
  return refusal("config_changed", path, "was changed by another program meanwhile. Try again; nothing was changed.");
}

function findDanglingLink({ path }: FileEdit): ClientRefusal | null {
  const target = linkTarget(path);
  if (target === null || findRealPath(path) !== null) return null;
  return refusal(
    "config_unreadable",
    path,
    `is a link to ${target}, which does not exist. Create or remove it and try again.`,
  );
}

function applyEdit(edit: FileEdit): ClientRefusal | null {
  const { path, before, after } = edit;
  let changed: ClientRefusal | null = null;
  try {
    const file = before === null ? path : realpathSync(path);
    if (after === null) {
      rmSync(file);
      syncFolder(dirname(file));
      removeEmptied(edit.folders ?? []);
      return null;
    }
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const check = (): void => {
      changed = findChangeSince(edit);
      if (changed) throw new Error(changed.message);
    };
    writeAtomically(file, after, { mode: 0o600, check });
    return null;
  } catch (error) {
    return changed ?? refusal("write_failed", path, `cannot be written: ${messageOf(error)}. Nothing was changed.`);
  }
}

/** Deletes the backup after a complete rollback: it would mislead a later uninstall. */
function rollBack(applied: readonly FileEdit[], failure: ClientRefusal, backup: string): ClientRefusal {
  const rollbackProblems = applied
    .toReversed()
    .map(({ path, before, after, summary }) => applyEdit({ path, before: after, after: before, summary }))
    .filter((problem) => problem !== null);
  if (rollbackProblems.length > 0) {
    const reasons = rollbackProblems.map(({ message }) => message).join(" ");
    return {
      ...failure,
      message: `${failure.message} Rolling back the rest failed too: ${reasons} The backup is ${backup}.`,
    };
  }
  rmSync(backup, { recursive: true, force: true });
  return failure;
}

/** Stored as manifest.json beside the copies. Add fields as optional. */
interface Manifest {
  readonly version: 1;
  readonly action: Plan["action"];
  readonly client: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly files: readonly {
    readonly path: string;
    /** Copy in this folder and the SHA-256 of its text; null when there was no file. */
    readonly before: { readonly copy: string; readonly hash: string } | null;
    /** SHA-256 of the new text; null when the file was deleted. */
    readonly after: string | null;
    /** Made for the file, outermost first. */
    readonly folders?: readonly string[];
  }[];
}

export interface BackupFile {
  readonly path: string;
  readonly after: string | null;
  readonly before: string | null;
  /** Made for the file, outermost first. */
  readonly folders: readonly string[];
}

export interface Backup {
  readonly folder: string;
  readonly action: Plan["action"];
  readonly at: number;
  readonly files: readonly BackupFile[];
}

export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function backupsFolder(home: string): string {
  return join(home, "client-backups");
}

/** [IN8] Copies the files that the plan will change, readable by the user only. */
function create(backups: string, plan: Plan, now: number): string {
  const folder = newFolder(backups, now);
  const files = plan.edits.map(({ path, before, after }, index) => {
    const copy = `${index}.json`;
    if (before !== null) writeAtomically(join(folder, copy), before);
    return {
      path,
      before: before === null ? null : { copy, hash: hashOf(before) },
      after: after === null ? null : hashOf(after),
      folders: missingFolders(dirname(path)),
    };
  });
  const manifest: Manifest = { version: 1, action: plan.action, client: plan.target.client, at: now, files };
  writeAtomically(join(folder, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return folder;
}

/** Names sort by time; plans of the same millisecond are numbered. */
function newFolder(backups: string, now: number): string {
  createPrivateFolder(backups);
  const time = new Date(now).toISOString().replaceAll(":", "-");
  for (let serial = 0; ; serial++) {
    const folder = join(backups, `${time}-${String(serial).padStart(3, "0")}`);
    try {
      mkdirSync(folder, { mode: 0o700 });
      syncFolder(backups);
      return folder;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }
}

/** Lists backups, oldest first; skips unsound manifests and missing or damaged copies. */
export function list(backups: string): Backup[] {
  return listNames(backups)
    .toSorted()
    .map((name) => join(backups, name))
    .flatMap((folder) => {
      const manifest = readManifest(folder);
      return manifest ? [{ folder, action: manifest.action, at: manifest.at, files: readFiles(folder, manifest) }] : [];
    });
}

/** Lists what the installs since the last uninstall have found and written, oldest first. */
export function installsOf(path: string, backups: readonly Backup[]): BackupFile[] {
  const relevantBackups = backups.filter(({ files }) => files.some((file) => file.path === path));
  const last = relevantBackups.findLastIndex(({ action }) => action === "uninstall");
  return relevantBackups.slice(last + 1).flatMap(({ files }) => files.filter((file) => file.path === path));
}

function readFiles(folder: string, manifest: Manifest): BackupFile[] {
  return manifest.files.flatMap(({ path, before, after, folders = [] }): BackupFile[] => {
    if (before === null) return [{ path, before: null, after, folders }];
    const text = readText(join(folder, before.copy));
    return text.ok && text.value !== null && hashOf(text.value) === before.hash
      ? [{ path, before: text.value, after, folders }]
      : [];
  });
}

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function readManifest(folder: string): Manifest | null {
  const text = readText(join(folder, "manifest.json"));
  if (!text.ok || text.value === null) return null;
  const value = parseObject(text.value);
  return value?.["version"] === 1 ? (value as unknown as Manifest) : null;
}
