import { resolve } from "node:path";
import { GitError, lines, run, text, userGit, type Git } from "./git.ts";

/** Limit of one git command, in ms. */
const gitTimeoutMs = 600_000;

export function gitInFolder(env: NodeJS.ProcessEnv, folder: string): Git {
  return userGit(env, folder, AbortSignal.timeout(gitTimeoutMs));
}

/** A repository with a work tree of the user. */
export interface UserRepository {
  /** In the top of the work tree. */
  readonly git: Git;
  readonly top: string;
  /** Folder that all work trees of the repository share. */
  readonly repository: string;
}

/** @throws {GitError} if the folder is in no work tree, or git is missing */
export async function openRepository(env: NodeJS.ProcessEnv, folder: string): Promise<UserRepository> {
  const top = await text(gitInFolder(env, folder), ["rev-parse", "--show-toplevel"]);
  const git = gitInFolder(env, top);
  return { git, top, repository: resolve(top, await text(git, ["rev-parse", "--git-common-dir"])) };
}

/** @throws {GitError} if it names no commit */
export function resolveCommit(git: Git, name: string): Promise<string> {
  return text(git, ["rev-parse", "--verify", "--quiet", "--end-of-options", `${name}^{commit}`]);
}

/** @returns null: names no commit */
export async function findCommit(git: Git, name: string): Promise<string | null> {
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${name}^{commit}`];
  const { code, stdout } = await run(git, args, "", [0, 1, 128]);
  return code === 0 ? stdout.toString("utf8").trim() : null;
}

/** Creates a branch. @returns false where the name has another commit */
export async function createBranch(git: Git, name: string, commit: string): Promise<boolean> {
  try {
    // The empty old value requires that the branch does not exist.
    await run(git, ["update-ref", `refs/heads/${name}`, commit, ""]);
    return true;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return (await findCommit(git, `refs/heads/${name}`)) === commit;
  }
}

/** @returns null for a detached HEAD */
export async function currentBranch(git: Git): Promise<string | null> {
  const { code, stdout } = await run(git, ["symbolic-ref", "--quiet", "--short", "HEAD"], "", [0, 1]);
  return code === 0 ? stdout.toString("utf8").trim() : null;
}

/** Other machines may ask only for branches that a worker made. */
const workerBranch = /^shim\/[\w.-]{1,200}$/;

/** Excludes transports that run other programs (`ext`) or do not encrypt. */
function withTransports(git: Git): Git {
  const transports = ["https", "ssh"].flatMap((name) => ["-c", `protocol.${name}.allow=always`]);
  return { ...git, before: [...git.before, ...transports] };
}

/** @throws {GitError} if the repository cannot be read */
export async function hasRemote(git: Git, remote: string): Promise<boolean> {
  return (await lines(git, ["remote"])).includes(remote);
}

/** @throws {GitError} if the remote refuses, with git's reason */
export async function pushBranch(git: Git, remote: string, branch: string, commit: string): Promise<void> {
  const safeOptions = ["--quiet", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no"];
  await run(withTransports(git), ["push", ...safeOptions, "--", remote, `${commit}:refs/heads/${branch}`]);
}

/** Changes no branch. @returns null on success, else git's reason */
export async function fetchCommit(git: Git, remote: string, branch: string, commit: string): Promise<string | null> {
  const refNames = [...(workerBranch.test(branch) ? [`refs/heads/${branch}`] : []), commit];
  const safeOptions = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap="];
  let lastError = "";
  for (const name of refNames) {
    try {
      await run(withTransports(git), ["fetch", ...safeOptions, "--", remote, name]);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      lastError = error.message;
    }
    if ((await findCommit(git, commit)) !== null) return null;
  }
  return lastError || `${remote} has another commit on ${branch}`;
}
