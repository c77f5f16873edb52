import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { fail, type Failure, ok, type Result } from "../../shared/result.ts";
import { GitError, lines } from "../../snapshots/git.ts";
import { findCommit, openRepository, type UserRepository } from "../../snapshots/user-repository.ts";

/** Files of a work tree, as its last commit has them. */
export interface WorkTarget extends UserRepository {
  readonly base: string;
  /** Relative to the top; empty: everything. */
  readonly paths: readonly string[];
  /** Files whose changes are not committed. */
  readonly uncommitted: number;
}

/** @param given relative to `cwd`; empty: that folder */
export async function findTarget(
  env: NodeJS.ProcessEnv,
  cwd: string,
  given: readonly string[],
): Promise<Result<WorkTarget, Failure>> {
  const named = given.length === 0 ? [cwd] : given.map((path) => resolve(cwd, path));
  const missing = named.find((path) => !existsSync(path));
  if (missing !== undefined) return fail("bad_input", `there is no ${missing}.`);
  const paths = named.map((path) => realpathSync(path));
  const [first = cwd] = paths;
  try {
    return await readTarget(await openRepository(env, statSync(first).isDirectory() ? first : dirname(first)), paths);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (error.fault === "missing") return fail("no_git", `${error.message}; this works in a git worktree.`);
    return fail("bad_input", `${first} is not in the work tree of a git repository (${error.message}).`);
  }
}

async function readTarget(opened: UserRepository, absolute: readonly string[]): Promise<Result<WorkTarget, Failure>> {
  const { git, top } = opened;
  const paths = absolute.map((path) => relative(top, path).split(sep).join("/"));
  const stray = paths.findIndex((path) => path === ".." || path.startsWith("../../"));
  if (stray >= 0) return fail("bad_input", `${absolute[stray]} is not in ${top}.`);
  const base = await findCommit(git, "HEAD");
  if (base === null) return fail("no_commit", `${top} has no commit yet: a worktree starts from one.`);
  const uncommitted = (await lines(git, ["status", "--porcelain"])).length;
  return ok({ ...opened, base, paths: paths.includes("") ? [] : paths, uncommitted });
}
