import { existsSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { pollUntil } from "../platform/end-processes.ts";
import { mayBeAlive, type Processes } from "../platform/processes.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import { isFolderInUse } from "./folder-in-use.ts";
import { endMarked, toMark } from "./marked-processes.ts";

/** Results of other tasks in a worktree. */
export const MergedRecord = z.object({
  tasks: z.array(z.int()).max(1_000).readonly(),
  conflicts: z
    .array(z.object({ task: z.int(), files: z.array(z.string().max(4_096)).max(1_000).readonly() }))
    .max(1_000)
    .readonly(),
  /** The commit that has them: where the task's own changes begin. */
  commit: z.string().regex(/^[0-9a-f]{40,64}$/),
});

export type MergedRecord = z.infer<typeof MergedRecord>;

/** What stands beside a worktree: whose it is. Stored. Add fields as optional. */
const StoredRecord = z.object({
  task: z.int(),
  /** The repository's own folder (`git rev-parse --git-common-dir`). */
  repository: z.string(),
  branch: z.string(),
  /** Where the first attempt began. */
  base: z.string(),
  merged: MergedRecord.optional(),
  /** The worker that works there; null: nobody does. */
  owner: z.object({ boot: z.string(), pid: z.int(), start: z.string() }).nullable(),
});
export type WorkRecord = z.infer<typeof StoredRecord>;

/** One folder for each worktree: `tree` is the worktree, `record.json` beside it says whose it is. */
export function worktreePath(folder: string): string {
  return join(folder, "tree");
}

export function readRecord(folder: string): WorkRecord | null {
  try {
    return StoredRecord.parse(JSON.parse(readFileSync(join(folder, "record.json"), "utf8")));
  } catch {
    // Not there, or not written by this version: then the worktree is left alone.
    return null;
  }
}

export function writeRecord(folder: string, record: WorkRecord): void {
  createPrivateFolder(folder);
  writeAtomically(join(folder, "record.json"), JSON.stringify(record));
}

/** What SHIM keeps beside the worktree; the worktree itself is git's to remove, and stays where git has not done so. */
export function removeRecord(folder: string): void {
  for (const name of ["record.json", "index"]) rmSync(join(folder, name), { force: true });
  if (!existsSync(worktreePath(folder))) rmdirSync(folder);
}

/**
 * [WK12] Nobody works there: a worker that cannot be seen from here counts as alive, and so does any other process in the worktree. What a dead
 * worker has left running is ended first.
 */
export async function isFolderFree(processes: Processes, folder: string, { owner }: WorkRecord): Promise<boolean> {
  if (owner !== null && mayBeAlive(processes, owner)) return false;
  if (owner?.boot === processes.boot()) await endMarked(toMark(owner));
  const isEmpty = (): boolean => !isFolderInUse(worktreePath(folder));
  return isEmpty() || (owner !== null && pollUntil(isEmpty, processExitMs));
}

/** A process that is just ending has no mark any more, and still a place. */
const processExitMs = 2_000;
