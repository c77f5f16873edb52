import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fetchCommit, hasRemote } from "../../../worker-runner/remote-branches.ts";
import {
  currentBranch,
  resolveCommit,
  gitInFolder,
  hasCommit,
  commonGitFolder,
  worktreeTop,
} from "../../../worker-runner/work-git.ts";
import { GitError, run, text, type Git } from "../../../snapshots/git.ts";
import type { InputWork } from "../../../worker-runner/input-work.ts";
import { ok } from "../../../shared/result.ts";
import { failed, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";

export interface Repository {
  readonly git: Git;
  readonly top: string;
  /** Folder that all its work trees share. */
  readonly common: string;
}

export async function withRepository(
  cli: Cli,
  body: (found: Repository) => Promise<CommandResult>,
): Promise<CommandResult> {
  try {
    const top = await worktreeTop(cli.io.env, cli.io.cwd);
    const git = gitInFolder(cli.io.env, top);
    return await body({ git, top, common: await commonGitFolder(git, top) });
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (error.fault === "missing") return failed("no_git", `${error.message}; the work of tasks is in git branches.`);
    const isNowhere = /not a git repository/.test(error.message);
    const advice = isNowhere ? " Run the command in the repository that the task's worker used." : "";
    return failed("git_failed", `${error.message}.${advice}`);
  }
}

/** @returns why a commit is not in the repository afterwards, if one is not */
export async function fetchCommits(
  { git, top }: Repository,
  works: readonly Pick<InputWork, "task" | "branch" | "commit" | "machine">[],
  remote: string | undefined,
): Promise<CliResult<null>> {
  if (remote !== undefined && !(await hasRemote(git, remote)))
    return wrongUsage(`${top} has no remote ${remote}; \`git remote\` lists them.`);
  for (const { task, branch, commit, machine } of works) {
    if (await hasCommit(git, commit)) continue;
    const where = machine === null ? "" : ` of machine ${machine}`;
    const description = `commit ${commit.slice(0, 12)}${where} (task ${task}, branch ${branch}) is not in ${top}`;
    if (remote === undefined)
      return failed("no_commit", `${description}; --remote <name> fetches it where its worker has pushed it.`);
    const reason = await fetchCommit(git, remote, branch, commit);
    if (reason !== null) return failed("no_commit", `${description}: ${reason}.`);
  }
  return ok(null);
}

const operationMarkers = ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply"];
const maxShown = 10;

/** Refuses a dirty work tree and a half-done operation. */
export async function cleanBranch({
  git,
  top,
}: Repository): Promise<CliResult<{ readonly branch: string; readonly commit: string }>> {
  const gitDir = resolve(top, await text(git, ["rev-parse", "--absolute-git-dir"]));
  const operationInProgress = operationMarkers.find((name) => existsSync(join(gitDir, name)));
  if (operationInProgress !== undefined)
    return failed("not_clean", `${top} has an operation in progress (${operationInProgress}). Finish it first.`);
  const branch = await currentBranch(git);
  if (branch === null) return failed("no_branch", `${top} is on no branch. Check one out first: git switch <branch>.`);
  const { stdout } = await run(git, ["status", "--porcelain", "--untracked-files=no"]);
  const changed = stdout.toString("utf8").split("\n").filter(Boolean);
  if (changed.length > 0) {
    const named = changed.slice(0, maxShown).map((line) => line.slice(3));
    const more = changed.length > maxShown ? ` and ${changed.length - maxShown} more` : "";
    return failed(
      "not_clean",
      `${top} has changes that are not committed: ${named.join(", ")}${more}. Commit or stash them first.`,
    );
  }
  return ok({ branch, commit: await resolveCommit(git, "HEAD") });
}

export async function fastForward(git: Git, commit: string): Promise<string | null> {
  const mergeFlags = ["--ff-only", "--quiet", "--no-verify-signatures", "--no-autostash", "--no-overwrite-ignore"];
  const { code, stderr } = await run(git, ["merge", ...mergeFlags, commit], "", [0, 1, 128]);
  return code === 0
    ? null
    : stderr
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean)
        .join(" ");
}

/** Returns the user's committer identity; null: git knows none. */
export async function readIdentity(git: Git): Promise<{ readonly name: string; readonly email: string } | null> {
  const { code, stdout } = await run(git, ["var", "GIT_COMMITTER_IDENT"], "", [0, 1, 128]);
  const found = /^(.+) <([^<>]*)> \d+ [+-]\d{4}$/.exec(stdout.toString("utf8").trim());
  return code === 0 && found?.[1] && found[2] ? { name: found[1], email: found[2] } : null;
}
