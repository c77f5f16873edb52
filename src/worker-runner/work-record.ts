import { existsSync, rmdirSync, rmSync, readdirSync, readlinkSync } from "node:fs";
import { join, sep } from "node:path";
import * as z from "zod";
import { pollUntil } from "../platform/process-group.ts";
import { mayBeAlive, type Processes } from "../platform/processes.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import { endMarked, toMark } from "./marked-processes.ts";
import { readJsonFile } from "../platform/read-json-file.ts";

export const MergedRecord = z.object({
  tasks: z.array(z.int()).max(1_000).readonly(),
  conflicts: z
    .array(z.object({ task: z.int(), files: z.array(z.string().max(4_096)).max(1_000).readonly() }))
    .max(1_000)
    .readonly(),
  commit: z.string().regex(/^[0-9a-f]{40,64}$/),
});

export type MergedRecord = z.infer<typeof MergedRecord>;

/** Stored. Add fields as optional. */
const StoredRecord = z.object({
  task: z.int(),
  /** Output of `git rev-parse --git-common-dir`. */
  repository: z.string(),
  branch: z.string(),
  base: z.string(),
  merged: MergedRecord.optional(),
  owner: z.object({ boot: z.string(), pid: z.int(), start: z.string() }).nullable(),
  /** The branch may be part of a result. */
  isOffered: z.boolean().optional(),
});
export type WorkRecord = z.infer<typeof StoredRecord>;

/** The base with the work of other tasks, as SHIM has merged it. */
export function firstCommit({ base, merged }: Pick<WorkRecord, "base" | "merged">): string {
  return merged?.commit ?? base;
}

/** @param home SHIM's folder */
export function worktreesIn(home: string): string {
  return join(home, "work");
}

export function worktreePath(folder: string): string {
  return join(folder, "tree");
}

/** A missing or foreign record leaves the worktree alone. */
export function readRecord(folder: string): WorkRecord | null {
  return readJsonFile(join(folder, "record.json"), StoredRecord);
}

export function writeRecord(folder: string, record: WorkRecord): void {
  createPrivateFolder(folder);
  writeAtomically(join(folder, "record.json"), JSON.stringify(record));
}

/** The worktree itself is git's to remove. */
export function removeRecord(folder: string): void {
  for (const name of ["record.json", "index"]) rmSync(join(folder, name), { force: true });
  if (!existsSync(worktreePath(folder))) rmdirSync(folder);
}

/** [WK12] A worker that cannot be seen, or any process in the worktree, counts as alive. */
export async function isFolderFree(processes: Processes, folder: string, { owner }: WorkRecord): Promise<boolean> {
  if (owner !== null && mayBeAlive(processes, owner)) return false;
  if (owner?.boot === processes.boot()) await endMarked(toMark(owner));
  const isEmpty = (): boolean => !isFolderInUse(worktreePath(folder));
  return isEmpty() || (owner !== null && pollUntil(isEmpty, processExitMs));
}

/** An ending process has lost its mark but not its working folder. */
const processExitMs = 2_000;

/** Linux only (proc(5)); false elsewhere. Covers the user's own processes. */
function isFolderInUse(folder: string): boolean {
  if (process.platform !== "linux") return false;
  return readdirSync("/proc").some((name) => {
    const workingFolder = /^\d+$/.test(name) ? readWorkingFolder(name) : null;
    return workingFolder === folder || workingFolder?.startsWith(`${folder}${sep}`) === true;
  });
}

function readWorkingFolder(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}
