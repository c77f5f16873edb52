import { GitError, lines, run, type Git } from "../snapshots/git.ts";
import { hasCommit } from "./work-git.ts";

/** [WK33] Other machines may ask only for branches that a worker made. */
const workerBranch = /^shim\/[\w.-]{1,200}$/;

/** Excludes transports that run other programs (`ext`) or do not encrypt. */
const transports = ["https", "ssh"].flatMap((name) => ["-c", `protocol.${name}.allow=always`]);

function withTransports(git: Git): Git {
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
    if (await hasCommit(git, commit)) return null;
  }
  return lastError || `${remote} has another commit on ${branch}`;
}
