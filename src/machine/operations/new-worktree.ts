import { existsSync, realpathSync, rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import { createPrivateFolder } from "../../platform/private-files.ts";
import { ok } from "../../shared/result.ts";
import type { WorktreeOutcome } from "../../snapshots/worktrees.ts";
import type { ExcludedFile } from "../../snapshots/selection.ts";
import type { OperationResult } from "./operation-context.ts";

export interface WrittenFiles {
  readonly folder: string;
  /** Absent (null) for a copy. */
  readonly branch: string | null;
  readonly notRestored: readonly ExcludedFile[];
}

/**
 * Makes a worktree beside those of tasks, under the first free number.
 *
 * @param name begins the names of the folder and of the branch
 * @param make leaves neither folder nor branch when it fails
 */
export async function inNewWorktree(
  home: string,
  { name, project }: { readonly name: string; readonly project: string },
  make: (folder: string, branch: string) => Promise<WorktreeOutcome>,
): Promise<OperationResult<WrittenFiles>> {
  for (let number = 1; ; number += 1) {
    const numbered = `${name}-${number}`;
    const parent = join(home, "work", numbered);
    if (existsSync(parent)) continue;
    createPrivateFolder(parent);
    const folder = join(realpathSync(parent), basename(project));
    const branch = `shim/${numbered}`;
    const made = await make(folder, branch);
    if (made.ok) return ok({ folder, branch, notRestored: made.value.notRestored });
    rmdirSync(parent);
    if (made.error.code !== "branch_exists") return made;
  }
}
