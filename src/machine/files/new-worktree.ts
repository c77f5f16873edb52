import { existsSync, readdirSync, realpathSync, rmdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import * as z from "zod";
import { excluded } from "../../contract/machine/files.ts";
import { readJsonFile } from "../../platform/data-files.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { identify, mayBeAlive, unknownStart } from "../../platform/processes.ts";
import { markName, toMark } from "../../platform/run-program.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import type { RestoreResult } from "../../snapshots/restore-files.ts";
import { removeHalfMade } from "../../snapshots/worktrees.ts";
import type { ExcludedFile } from "../../snapshots/selection.ts";

export interface WrittenFiles {
  readonly folder: string;
  /** Absent (null) for a copy. */
  readonly branch: string | null;
  readonly notRestored: readonly ExcludedFile[];
}

/** Stored beside the worktree, from before it is made. Add fields as optional. */
const FilesRecord = z.object({
  /** Names the content, which is then written once; null: it is written each time. */
  of: z.nullable(z.string()),
  project: z.string(),
  /** Commit that the branch begins at; null: there was none. */
  head: z.nullable(z.string()),
  folder: z.string(),
  owner: z.object({ boot: z.string(), pid: z.int(), start: z.string() }),
  /** Absent (null) until all files are written. */
  notRestored: z.nullable(excluded),
});
type FilesRecord = z.infer<typeof FilesRecord>;

interface NewFiles extends Pick<FilesRecord, "of" | "project" | "head"> {
  /** Begins the names of the folder and of the branch. */
  readonly name: string;
}

type Site = Pick<Runtime, "paths" | "env" | "processes">;

/**
 * Makes a worktree beside those of tasks, under the first free number. What a killed process has
 * left half made is removed.
 *
 * @param make leaves neither folder nor branch when it fails; its programs get the environment
 */
export async function inNewWorktree(
  site: Site,
  files: NewFiles,
  make: (folder: string, branch: string, env: NodeJS.ProcessEnv) => Promise<Result<RestoreResult>>,
): Promise<Result<WrittenFiles>> {
  const { paths, env, processes } = site;
  const { name, of, project, head } = files;
  const owner = identify(processes, process.pid) ?? { boot: processes.boot(), pid: process.pid, start: unknownStart };
  for (let number = 1; ; number += 1) {
    const numbered = `${name}-${number}`;
    const branch = `shim/${numbered}`;
    const parent = join(paths.home, "work", numbered);
    const before = readJsonFile(join(parent, recordName), FilesRecord);
    const there = before && (await filesThere(site, files, before, branch));
    if (there) return there;
    if (existsSync(parent) && readdirSync(parent).length > 0) continue;
    createPrivateFolder(parent);
    const record = { of, project, head, folder: join(realpathSync(parent), basename(project)), owner };
    writeRecord(parent, { ...record, notRestored: null });
    const made = await make(record.folder, branch, { ...env, [markName]: toMark(owner) });
    if (made.ok) {
      const { notRestored } = made.value;
      writeRecord(parent, { ...record, notRestored });
      return ok({ folder: record.folder, branch, notRestored });
    }
    rmSync(join(parent, recordName));
    rmdirSync(parent);
    if (made.error.code !== "branch_exists") return made;
  }
}

const recordName = "files.json";

function writeRecord(parent: string, record: FilesRecord): void {
  writeAtomically(join(parent, recordName), JSON.stringify(record));
}

/** @returns null: other files, or none any more */
async function filesThere(
  { env, processes }: Site,
  { of, project }: NewFiles,
  { notRestored, owner, ...before }: FilesRecord,
  branch: string,
): Promise<Result<WrittenFiles> | null> {
  const isSame = of !== null && before.of === of && before.project === project;
  const { folder } = before;
  if (notRestored !== null) return isSame && existsSync(folder) ? ok({ folder, branch, notRestored }) : null;
  if (!mayBeAlive(processes, owner)) await removeHalfMade({ ...before, owner, env, branch });
  else if (isSame) return fail("restore_failed", `${folder} is being written just now: repeat this later`);
  return null;
}
