import { createHash } from "node:crypto";
import { mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { createPrivateFolder, syncFolder, writeAtomically } from "../platform/private-files.ts";
import { isMissing, missingFolders, readText } from "./client-files.ts";
import { parseObject } from "../shared/json-fields.ts";
import type { Plan } from "./file-edits.ts";
import { codeOf } from "../shared/error.ts";

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
export function create(backups: string, plan: Plan, now: number): string {
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
