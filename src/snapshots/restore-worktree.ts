import { copyFileSync, existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "../shared/result.ts";
import { repositoryGit, run, text, userGit, withTimeLimit, type Git, type TimeLimit } from "./git.ts";
import { repositoryFor, withRepository, type OpenRepository } from "./repository.ts";
import type { SnapshotDeps } from "./snapshot.ts";
import {
  findMissing,
  findMissingSnapshot,
  readSnapshot,
  unpack,
  writeFiles,
  type RestoreRefusal,
  type RestoreResult,
} from "./restore-files.ts";
import { discover, type WorkTree } from "./work-tree.ts";
import { addWorktree, removeWorktree } from "./worktrees.ts";

export interface WorktreeInput extends SnapshotDeps, TimeLimit {
  /** SHIM's repository, and the snapshot in it. */
  readonly repository: string;
  readonly commit: string;
  readonly project: string;
  /** Commit that the files are based on; null: there was none. */
  readonly head: string | null;
  /** New folder and new branch. */
  readonly folder: string;
  readonly branch: string;
}

export type WorktreeOutcome = Result<RestoreResult, RestoreRefusal>;

/**
 * Adds a worktree on a new branch from the commit that a snapshot is based on, with the
 * snapshot's files; what was not committed then is not committed in it. Work tree, index and
 * HEAD of the project stay, and a failure leaves neither folder nor branch.
 */
export async function restoreWorktree(input: WorktreeInput): Promise<WorktreeOutcome> {
  const { commit, repository } = input;
  if (!existsSync(join(repository, "HEAD")))
    return err({ code: "snapshot_missing", message: `${repository} does not exist` });
  return makeWorktree(input, async (git, _tree, signal) =>
    withRepository(input, repository, null, signal, async (opened) => {
      const lost = await findMissingSnapshot(opened, commit);
      return lost ? err(lost) : ok(await writeWorktree(opened, input, git));
    }),
  );
}

export interface ReceivedWorktreeInput extends Omit<WorktreeInput, "repository"> {
  /** SHIM's repositories. */
  readonly snapshots: string;
  readonly bundle: Buffer;
  readonly needs: readonly string[];
}

/** Adds a worktree like `restoreWorktree`, with the files of a bundle from another machine. */
export async function restoreReceivedWorktree(input: ReceivedWorktreeInput): Promise<WorktreeOutcome> {
  return makeWorktree(input, async (git, found, signal) =>
    withRepository(input, repositoryFor(input.snapshots, found), found, signal, async (opened) => {
      return (await unpack(opened, found, input)) ?? ok(await writeWorktree(opened, input, git));
    }),
  );
}

type NewWorktree = Omit<WorktreeInput, "repository">;

/** @param fill writes the files, once branch and commit are known to be usable */
async function makeWorktree(
  input: NewWorktree,
  fill: (git: Git, tree: WorkTree, signal: AbortSignal) => Promise<WorktreeOutcome>,
): Promise<WorktreeOutcome> {
  const { env, project, head } = input;
  const work = async (signal: AbortSignal): Promise<WorktreeOutcome> => {
    const tree = await discover(env, project, signal);
    if ("skipped" in tree) return err({ code: "not_a_work_tree", message: tree.skipped });
    if (head === null)
      return err({ code: "commit_missing", message: "there was no commit then that a branch could begin at" });
    const own = repositoryGit(env, { gitDir: tree.found.gitDir }, signal);
    const known = await run(own, ["show-ref", "--verify", "--quiet", `refs/heads/${input.branch}`], "", [0, 1]);
    if (known.code === 0) return err({ code: "branch_exists", message: `the branch ${input.branch} already exists` });
    const [missing] = await findMissing(own, [head]);
    if (missing !== undefined)
      return err({
        code: "commit_missing",
        message: `commit ${missing}, on which it was based, is not in ${project}`,
      });
    return fill(userGit(env, tree.found.top, signal), tree.found, signal);
  };
  return withTimeLimit(input, work, (message) => err({ code: "restore_failed", message }));
}

async function writeWorktree(
  opened: OpenRepository,
  { env, commit, head, folder, branch }: NewWorktree,
  project: Git,
): Promise<RestoreResult> {
  const from = head ?? "HEAD";
  await addWorktree(project, { tree: folder, start: from, branch, isEmpty: true });
  try {
    const tree = realpathSync(folder);
    return await fillWorktree(opened, commit, { tree, git: userGit(env, tree, opened.signal) });
  } catch (error) {
    const left = { ...project, signal: AbortSignal.timeout(cleanUpMs) };
    await removeWorktree(left, folder, { isForced: true });
    await run(left, ["update-ref", "-d", `refs/heads/${branch}`, from]);
    throw error;
  }
}

const cleanUpMs = 30_000;

/** Writes a snapshot's files into a worktree without files; its index is that of its HEAD. */
export async function fillWorktree(
  opened: OpenRepository,
  commit: string,
  { tree, git }: { readonly tree: string; readonly git: Git },
): Promise<RestoreResult> {
  const [written, index] = await Promise.all([
    readSnapshot(opened, commit).then((snapshot) => writeFiles(snapshot, tree)),
    text(git, ["rev-parse", "--path-format=absolute", "--git-path", "index"]),
  ]);
  // This index has the times of the files just written: git need not read them all again.
  copyFileSync(join(opened.scratch, "index"), index);
  await run(git, ["read-tree", "--reset", "HEAD"]);
  return written;
}
