import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../shared/error.ts";
import { removeLeftovers } from "../platform/leftovers.ts";
import { entryOnDisk, hasSameContent, rightsIn, statsOf, type FileEntry } from "./file-entry.ts";
import { diskPath, displayPath, run, userGit, type RawPath } from "./git.ts";
import { copyFile } from "./staged-files.ts";
import type { ExcludedFile } from "./selection.ts";
import type { UndoneFile } from "./undo-history.ts";

/** A snapshot's files in a folder of their own, beside the project that they belong to. */
export interface Staged {
  readonly folder: string;
  readonly project: string;
}

/** A file that is to change, as people see it. */
export interface FileChange {
  /** Relative to the project. */
  readonly path: string;
  /** missing: the project has no such file now; created: it alone has it. */
  readonly now: "changed" | "missing" | "created";
}

export function toFileChange({ path, before, after }: UndoneFile): FileChange {
  return { path: displayPath(path), now: after === null ? "created" : before === null ? "missing" : "changed" };
}

/** @param chosen paths of files and folders, relative to the project; empty: all */
export function isChosen(chosen: readonly string[], path: RawPath): boolean {
  const shown = displayPath(path);
  return chosen.length === 0 || chosen.some((one) => shown === one || shown.startsWith(`${one}/`));
}

/** Runs `work` with an empty private folder, which is gone afterwards. */
export async function withScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  removeLeftovers(tmpdir(), /^shim-restore-(\d+)-/);
  const folder = mkdtempSync(join(tmpdir(), `shim-restore-${process.pid}-`));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Staged files that differ from the project's in content, type or executable bit, or that fewer may
 * read. Files that only the project has are none of them.
 *
 * @returns `notCompared` are those whose file of now cannot be read
 */
export function changesOf(
  { folder, project }: Staged,
  chosen: readonly string[],
): { readonly compared: number; readonly changes: UndoneFile[]; readonly notCompared: ExcludedFile[] } {
  const paths = filesIn(folder, "").filter((path) => isChosen(chosen, path));
  const changes: UndoneFile[] = [];
  const notCompared: ExcludedFile[] = [];
  for (const path of paths) {
    try {
      const after = entryOnDisk(diskPath(folder, path), "sha1");
      const before = entryOnDisk(diskPath(project, path), "sha1");
      if (!hasSameContent(before, after) || isMoreOpen(before, after)) changes.push({ path, before, after });
    } catch (error) {
      notCompared.push({ path: displayPath(path), reason: messageOf(error) });
    }
  }
  return { compared: paths.length - notCompared.length, changes, notCompared };
}

/** Whether more may read or run a file now; git says only what can be run. */
function isMoreOpen(before: FileEntry, after: FileEntry): boolean {
  const [now, then] = [rightsIn(before), rightsIn(after)];
  if (now === null || then === null || process.platform === "win32") return false;
  return (now & ~then & 0o044) !== 0 || ((now ^ then) & 0o100) !== 0;
}

function filesIn(folder: string, above: RawPath): RawPath[] {
  const entries = readdirSync(diskPath(folder, above), { withFileTypes: true, encoding: "buffer" });
  return entries.flatMap((entry) => {
    const name = entry.name.toString("latin1");
    const path = above === "" ? name : `${above}/${name}`;
    return entry.isDirectory() ? filesIn(folder, path) : [path];
  });
}

/** Diff from the project's files to the staged ones, as `git diff` prints it. */
export async function diffOf(
  { folder, project }: Staged,
  changes: readonly UndoneFile[],
  { env, timeoutMs }: { readonly env: NodeJS.ProcessEnv; readonly timeoutMs: number },
): Promise<string> {
  return withScratch(async (scratch) => {
    for (const [name, top] of [
      ["now", project],
      ["then", folder],
    ] as const) {
      mkdirSync(join(scratch, name));
      for (const { path } of changes)
        if (statsOf(diskPath(top, path)) !== null) copyFile(diskPath(top, path), diskPath(join(scratch, name), path));
    }
    const args = ["diff", "--no-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-prefix", "now", "then"];
    // Exit 1: they differ.
    const { stdout } = await run(userGit(env, scratch, AbortSignal.timeout(timeoutMs)), args, "", [0, 1]);
    return stdout.toString("utf8");
  });
}
