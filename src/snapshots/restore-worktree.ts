import { copyFileSync, existsSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { err, ok, type Result } from "../shared/result.ts";
import {
  quoteFolder,
  repositoryGit,
  run,
  text,
  userGit,
  withTimeLimit,
  worktreeCommand,
  type Git,
  type TimeLimit,
} from "./git.ts";
import { withRepository, type OpenRepository, type SnapshotHost } from "./repository.ts";
import {
  findMissing,
  findMissingSnapshot,
  readSnapshot,
  writeFiles,
  type RestoreRefusal,
  type RestoreResult,
} from "./restore-files.ts";
import { discover } from "./work-tree.ts";

export interface WorktreeInput extends SnapshotHost, TimeLimit {
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

export interface RestoredWorktree extends Pick<RestoreResult, "written" | "notRestored"> {
  /** Id of the tree of its files. */
  readonly tree: string;
}

export type WorktreeOutcome = Result<RestoredWorktree, RestoreRefusal>;

/**
 * [GS80] Adds a worktree on a new branch from the commit that a snapshot is based on, with the
 * snapshot's files; what was not committed then is not committed in it. [GS81] Work tree, index and
 * HEAD of the project stay, and a failure leaves neither folder nor branch.
 */
export async function restoreWorktree(input: WorktreeInput): Promise<WorktreeOutcome> {
  const { env, project, head, commit, repository } = input;
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
        message: `commit ${missing}, on which it was based, is gone from ${project}`,
      });
    return withRepository(input, repository, null, signal, async (opened) => {
      const lost = await findMissingSnapshot(opened, commit);
      return lost ? err(lost) : ok(await addWorktree(opened, input, userGit(env, tree.found.top, signal)));
    });
  };
  if (!existsSync(join(repository, "HEAD")))
    return err({ code: "snapshot_missing", message: `${repository} does not exist` });
  return withTimeLimit(input, work, (message) => err({ code: "restore_failed", message }));
}

async function addWorktree(
  opened: OpenRepository,
  { env, commit, head, folder, branch }: WorktreeInput,
  project: Git,
): Promise<RestoredWorktree> {
  const add = (make: "-b" | "-B"): string[] => ["add", "--quiet", "--no-track", "--no-checkout", make, branch, folder];
  const from = head ?? "HEAD";
  const snapshot = await readSnapshot(opened, commit);
  // The failed first try may have made the branch, whose name is unique.
  await worktreeCommand(project, [...add("-b"), from], [...add("-B"), from]);
  try {
    const top = realpathSync(folder);
    const git = userGit(env, top, opened.signal);
    const [written, index] = await Promise.all([
      writeFiles(snapshot, top),
      text(git, ["rev-parse", "--path-format=absolute", "--git-path", "index"]),
    ]);
    // This index has the times of the files just written: git need not read them all again.
    copyFileSync(join(opened.scratch, "index"), index);
    await run(git, ["read-tree", "--reset", "HEAD"]);
    return written;
  } catch (error) {
    await remove({ ...project, signal: AbortSignal.timeout(cleanUpMs) }, folder, branch, from);
    throw error;
  }
}

const cleanUpMs = 30_000;

/** @param base the branch goes only if it is still there */
async function remove(project: Git, folder: string, branch: string, base: string): Promise<void> {
  await run(project, ["worktree", "remove", "--force", folder]);
  await run(project, ["update-ref", "-d", `refs/heads/${branch}`, base]);
}

export interface RemovalInput extends TimeLimit {
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  readonly branch: string;
  /** Commit at which the branch began, and tree of the files then. */
  readonly base: string;
  readonly tree: string;
}

/** [GS82] Removes a worktree and its branch while both are as `restoreWorktree` made them. */
export function removeWorktree(input: RemovalInput): Promise<Result<null, RestoreRefusal>> {
  const { env, folder, branch, base } = input;
  const work = async (signal: AbortSignal): Promise<Result<null, RestoreRefusal>> => {
    if (!existsSync(folder)) return err({ code: "not_found", message: `${folder} does not exist any more` });
    const git = userGit(env, folder, signal);
    const changed = await findChange(git, input);
    if (changed !== null) return err({ code: "has_changes", message: changed });
    const common = await text(git, ["rev-parse", "--path-format=absolute", "--git-common-dir"]);
    await remove(userGit(env, common, signal), folder, branch, base);
    return ok(null);
  };
  return withTimeLimit(input, work, (message) => err({ code: "restore_failed", message }));
}

async function findChange(git: Git, { branch, base, tree }: RemovalInput): Promise<string | null> {
  const { stdout } = await run(git, ["symbolic-ref", "--quiet", "--short", "HEAD"], "", [0, 1]);
  if (stdout.toString("utf8").trim() !== branch) return `it is on another branch than ${branch}`;
  if ((await text(git, ["rev-parse", "HEAD"])) !== base) return `${branch} has commits of its own`;
  const objects = await text(git, ["rev-parse", "--path-format=absolute", "--git-path", "objects"]);
  const index = await text(git, ["rev-parse", "--path-format=absolute", "--git-path", "index"]);
  const scratch = mkdtempSync(join(tmpdir(), "shim-fork-"));
  try {
    const own = { GIT_INDEX_FILE: join(scratch, "index"), GIT_OBJECT_DIRECTORY: scratch };
    const beside: Git = { ...git, env: { ...git.env, ...own, GIT_ALTERNATE_OBJECT_DIRECTORIES: quoteFolder(objects) } };
    copyFileSync(index, own.GIT_INDEX_FILE);
    await run(beside, ["add", "--all", "."]);
    const now = await text(beside, ["write-tree"]);
    return now === tree ? null : "its files have changed since";
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
