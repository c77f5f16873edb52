import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { createPrivateFolder, syncFolder, writeAtomically } from "../platform/private-files.ts";
import { findRealPath } from "../platform/shim-command.ts";
import { codeOf, messageOf } from "../shared/error.ts";
import { parseObject } from "../shared/json-fields.ts";
import { type Result, err, ok } from "../shared/result.ts";
import {
  type ClientRefusal,
  linkTarget,
  missingFolders,
  readText,
  refusal,
  removeEmptied,
  type FileEdit,
  type Plan,
  type Backup,
  type BackupFile,
  type ChangedFile,
} from "./file-edits.ts";

/**
 * Carries out all edits of a plan or none; refuses a file changed since the plan.
 *
 * @param now epoch milliseconds; names the backup
 * @returns the folder with the original files; null when there was nothing to change
 */
export function apply(plan: Plan, backups: string, now: number): Result<string | null, ClientRefusal> {
  if (plan.edits.length === 0) return ok(null);
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
  for (const [at, edit] of plan.edits.entries()) {
    const failure = applyEdit(edit);
    if (failure) return err(rollBack(plan.edits.slice(0, at), failure, backup));
  }
  return ok(backup);
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
  const problem = `is a link to ${target}, which does not exist. Create or remove it and try again.`;
  return refusal("config_unreadable", path, problem);
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
  const problems = applied
    .toReversed()
    .flatMap(({ path, before, after, summary }) => applyEdit({ path, before: after, after: before, summary }) ?? []);
  if (problems.length === 0) {
    rmSync(backup, { recursive: true, force: true });
    return failure;
  }
  const reasons = problems.map(({ message }) => message).join(" ");
  const message = `${failure.message} Rolling back the rest failed too: ${reasons} The backup is ${backup}.`;
  return { ...failure, message };
}

/** Stored as manifest.json beside the copies. */
interface Manifest {
  readonly version: 1;
  readonly action: Plan["action"];
  readonly client: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** The copy in this folder and the SHA-256 of its text; null when there was no file. */
  readonly files: readonly (ChangedFile & {
    readonly before: { readonly copy: string; readonly hash: string } | null;
  })[];
}

export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function backupsFolder(home: string): string {
  return join(home, "client-backups");
}

/** Copies the files that the plan will change, readable by the user only. */
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
export function listBackups(backups: string): Backup[] {
  const names = existsSync(backups) ? readdirSync(backups).toSorted() : [];
  return names.flatMap((name) => {
    const text = readText(join(backups, name, "manifest.json"));
    const manifest = parseObject((text.ok && text.value) || "") as Manifest | null;
    if (manifest?.version !== 1) return [];
    const files = manifest.files.flatMap(({ before, ...file }): BackupFile[] => {
      if (before === null) return [{ ...file, before }];
      const copy = readText(join(backups, name, before.copy));
      const isSound = copy.ok && copy.value !== null && hashOf(copy.value) === before.hash;
      return isSound ? [{ ...file, before: copy.value }] : [];
    });
    return [{ action: manifest.action, files }];
  });
}

/** Lists what the installs since the last uninstall have found and written, oldest first. */
export function installsOf(path: string, backups: readonly Backup[]): BackupFile[] {
  const relevantBackups = backups.filter(({ files }) => files.some((file) => file.path === path));
  const last = relevantBackups.findLastIndex(({ action }) => action === "uninstall");
  return relevantBackups.slice(last + 1).flatMap(({ files }) => files.filter((file) => file.path === path));
}
