import { dirname } from "node:path";
import { GitError, rawList, run, userGit, type Git } from "./git.ts";

/**
 * For each file that differs from the last commit, or is in none: when the newest commit since then
 * has changed it (epoch ms, to the second), 0 without one. Where git cannot say, all differ.
 *
 * @param paths relative to the root of the work tree
 * @param since epoch ms
 */
export async function uncommitted(
  env: NodeJS.ProcessEnv,
  root: string,
  paths: readonly string[],
  since: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const git = userGit(env, root, signal);
  // A repository of the whole home says nothing of a project in it.
  const gitEnv = { ...git.env, GIT_CEILING_DIRECTORIES: dirname(root) };
  const literal = { ...git, env: gitEnv, before: [...git.before, "--literal-pathspecs"] };
  try {
    const args = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored", "--"];
    const listed = await rawList(literal, [...args, ...paths]);
    const differing = new Set(listed.map((line) => Buffer.from(line.slice(3), "latin1").toString("utf8")));
    const found = new Map<string, number>();
    for (const path of paths) if (differing.has(path)) found.set(path, await committedAt(literal, path, since));
    return found;
  } catch (error) {
    if (!(error instanceof GitError) || error.fault === "stopped") throw error;
    return new Map(paths.map((path) => [path, 0]));
  }
}

/** The limit spares git the whole history of a file that rarely changes. */
async function committedAt(git: Git, path: string, since: number): Promise<number> {
  const from = new Date(since).toISOString();
  // 128: there is no commit yet.
  const args = ["log", "-1", "--format=%ct", `--since=${from}`, "--", path];
  const { stdout } = await run(git, args, "", [0, 128]);
  return Number(stdout.toString("latin1")) * 1_000;
}
