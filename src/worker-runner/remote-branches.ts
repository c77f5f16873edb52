import { GitError, lines, run, type Git } from "../snapshots/git.ts";
import { hasCommit } from "./work-git.ts";

/** Branches of tasks at a remote of the repository, which all workers of a project may share. [WK33] */

/** What other machines may ask for: nothing but branches that a worker made. */
const workerBranch = /^shim\/[\w.-]{1,200}$/;

/** The transports of a remote: those that run no other program are left out (`ext`), and those without encryption. */
const transports = ["https", "ssh"].flatMap((name) => ["-c", `protocol.${name}.allow=always`]);

function withTransports(git: Git): Git {
  return { ...git, before: [...git.before, ...transports] };
}

/** @throws {GitError} when the repository cannot be read */
export async function hasRemote(git: Git, remote: string): Promise<boolean> {
  return (await lines(git, ["remote"])).includes(remote);
}

/** @throws {GitError} with git's words, when the remote does not take it */
export async function pushBranch(git: Git, remote: string, branch: string, commit: string): Promise<void> {
  const safeOptions = ["--quiet", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no"];
  await run(withTransports(git), ["push", ...safeOptions, "--", remote, `${commit}:refs/heads/${branch}`]);
}

/**
 * Brings a commit from the remote: by its branch, or where that stands elsewhere by its hash, which is checked by git. No branch of the repository changes.
 *
 * @returns null when the commit is here now; else why not, in git's words
 */
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
    if (await hasCommit(git, commit)) return null;
  }
  return lastError || `${remote} has another commit on ${branch}`;
}
