import {
  copyFileSync,
  existsSync,
  lstatSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import { withoutSecrets } from "../../platform/secret-env.ts";
import { codeOf } from "../../shared/error.ts";
import { type Failure, fail } from "../../shared/failure.ts";
import { type Result, ok } from "../../shared/result.ts";
import {
  type Git,
  GitError,
  diskPath,
  displayPath,
  joinRaw,
  lines,
  run,
  splitRaw,
  text,
  userGit,
  withAuthor,
} from "../../snapshots/git.ts";
import { SecretContent, secretIn } from "../../snapshots/secret-content.ts";
import { isSecretName, secretName } from "../../snapshots/secret-names.ts";
import { type ExcludedFile, ownRepository, readStats } from "../../snapshots/selection.ts";
import { type FileChange, changesSince } from "../../snapshots/work-tree.ts";

const gitTimeoutMs = 600_000;

export function gitInFolder(env: NodeJS.ProcessEnv, folder: string): Git {
  return userGit(withoutSecrets(env), folder, AbortSignal.timeout(gitTimeoutMs));
}

/**
 * Located by the repository, since a program may have replaced the worktree's `.git`.
 *
 * @throws {GitError} if the repository has no such worktree
 */
export function gitInWorktree(env: NodeJS.ProcessEnv, repository: string, tree: string): Git {
  const adminFolder = worktreeAdminFolder(repository, tree);
  if (adminFolder === null) throw new GitError("failed", `${repository} knows no worktree ${tree} any more`);
  const git = gitInFolder(env, tree);
  return { ...git, before: [...git.before, `--git-dir=${adminFolder}`, `--work-tree=${tree}`] };
}

export function worktreeAdminFolder(repository: string, tree: string): string | null {
  const worktreesFolder = join(repository, "worktrees");
  if (!existsSync(worktreesFolder) || lstatSync(tree, { throwIfNoEntry: false })?.isDirectory() !== true) return null;
  const pointer = join(realpathSync(dirname(tree)), basename(tree), ".git");
  const folders = readdirSync(worktreesFolder).map((name) => join(worktreesFolder, name));
  return folders.find((folder) => readGitPointer(folder) === pointer) ?? null;
}

function readGitPointer(folder: string): string | null {
  try {
    return resolve(folder, readFileSync(join(folder, "gitdir"), "utf8").trimEnd());
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    return null;
  }
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

export async function commonGitFolder(git: Git, folder: string): Promise<string> {
  return resolve(folder, await text(git, ["rev-parse", "--git-common-dir"]));
}

/** Returns null for a detached HEAD. */
export async function currentBranch(git: Git): Promise<string | null> {
  const { code, stdout } = await run(git, ["symbolic-ref", "--quiet", "--short", "HEAD"], "", [0, 1]);
  return code === 0 ? stdout.toString("utf8").trim() : null;
}

export interface Commit {
  readonly tree: string;
  readonly message: string;
  readonly now: number;
}

/**
 * Commits the content under `ref` and leaves branch and index alone.
 *
 * @param index path for a copy of the index
 * @returns HEAD if nothing changed
 */
export async function commitToRef(
  git: Git,
  index: string,
  ref: string,
  { tree, message, now }: Commit,
): Promise<string> {
  copyFileSync(await gitPath(git, "index"), index);
  const gitBeside: Git = { ...git, env: { ...git.env, GIT_INDEX_FILE: index } };
  await stageWork(gitBeside, tree);
  const content = await text(gitBeside, ["write-tree"]);
  const head = await resolveCommit(git, "HEAD");
  if (content === (await text(git, ["rev-parse", "HEAD^{tree}"]))) return head;
  const commit = await text(withAuthor(gitBeside, now), ["commit-tree", content, "-p", head, "-m", message]);
  await run(git, ["update-ref", ref, commit]);
  return commit;
}

/** Call only when no process works in the worktree. @returns the new HEAD */
export async function commitAll(
  git: Git,
  { tree, message, now }: Commit,
): Promise<{ readonly commit: string; readonly leftOut: readonly ExcludedFile[] }> {
  await unlock(git);
  const leftOut = await stageWork(git, tree);
  const { code } = await run(git, ["diff", "--cached", "--quiet"], "", [0, 1]);
  if (code === 1) await run(withAuthor(git, now), ["commit", "--quiet", "--no-verify", "--message", message]);
  return { commit: await resolveCommit(git, "HEAD"), leftOut };
}

export async function unlock(git: Git): Promise<void> {
  rmSync(await gitPath(git, "index.lock"), { force: true });
}

async function gitPath(git: Git, name: string): Promise<string> {
  return join(await text(git, ["rev-parse", "--absolute-git-dir"]), name);
}

/** @throws {GitError} if the folder is in no work tree */
export function worktreeTop(env: NodeJS.ProcessEnv, folder: string): Promise<string> {
  return text(gitInFolder(env, folder), ["rev-parse", "--show-toplevel"]);
}

/** Yields to other work of this process after each turn. */
const filesPerTurn = 50;

/** Leaves out files and changes with secrets, and repositories in the worktree. */
async function stageWork(git: Git, tree: string): Promise<ExcludedFile[]> {
  await run(git, ["add", "--update", "."]);
  const { changes } = await changesSince(git);
  const content = new SecretContent();
  const leftOut: (ExcludedFile & { readonly change: FileChange })[] = [];
  const added: FileChange[] = [];
  for (const [index, change] of changes.entries()) {
    if (index % filesPerTurn === filesPerTurn - 1) await breathe();
    const reason = await findReason(git, tree, content, change);
    if (reason !== null) leftOut.push({ path: displayPath(change.path), reason, change });
    else if (!change.isTracked && readStats(tree, change.path)) added.push(change);
  }
  await stagePaths(git, ["add"], added);
  const kept = leftOut.map(({ change }) => change).filter(({ isTracked }) => isTracked);
  await stagePaths(git, ["reset", "--quiet"], kept);
  return leftOut.map(({ path, reason }) => ({ path, reason }));
}

async function findReason(git: Git, tree: string, content: SecretContent, change: FileChange): Promise<string | null> {
  const { path, before } = change;
  if (path.endsWith("/")) return ownRepository;
  if (readStats(tree, path)?.isFile() !== true) return null;
  if (before === null && isSecretName(path)) return secretName;
  const reason = content.reason(diskPath(tree, path), path);
  if (reason === null || before === null) return reason;
  const { stdout } = await run(git, ["cat-file", "blob", before.id]);
  return secretIn(stdout, path) === null ? `${reason}; the last commit's version is kept` : null;
}

async function stagePaths(git: Git, command: readonly string[], changes: readonly FileChange[]): Promise<void> {
  if (changes.length === 0) return;
  const literal = { ...git, before: [...git.before, "--literal-pathspecs"] };
  const paths = joinRaw(changes.map(({ path }) => path));
  await run(literal, [...command, "--pathspec-from-file=-", "--pathspec-file-nul"], paths);
}

export interface ChangedFile {
  readonly path: string;
  /** Null for a binary file. */
  readonly added: number | null;
  readonly removed: number | null;
}

export interface CommitDiff {
  readonly files: readonly ChangedFile[];
  /** With a summary before the patch; "" without a change. */
  readonly diff: string;
}

/** Runs no program that the repository's settings name. */
export async function readDiff(git: Git, base: string, commit: string): Promise<CommitDiff> {
  const readable = { ...git, before: [...git.before, "-c", "core.quotePath=false"] };
  const plain = ["--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"];
  const { stdout } = await run(readable, ["diff", ...plain, "--stat", "--patch", base, commit]);
  const counts = await run(readable, ["diff", ...plain, "--numstat", "-z", base, commit]);
  return { files: splitRaw(counts.stdout).map(parseFile), diff: stdout.toString("utf8") };
}

function parseFile(record: string): ChangedFile {
  const [added = "-", removed = "-", ...path] = record.split("\t");
  const [addedLines, removedLines] = [added, removed].map((count) => (count === "-" ? null : Number(count)));
  return { path: displayPath(path.join("\t")), added: addedLines ?? null, removed: removedLines ?? null };
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

/** Files of a work tree, as its last commit has them. */
export interface WorkTarget {
  readonly git: Git;
  readonly top: string;
  readonly repository: string;
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
    const top = await worktreeTop(env, statSync(first).isDirectory() ? first : dirname(first));
    return await readTarget(gitInFolder(env, top), top, paths);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (error.fault === "missing") return fail("no_git", `${error.message}; this works in a git worktree.`);
    return fail("bad_input", `${first} is not in the work tree of a git repository (${error.message}).`);
  }
}

async function readTarget(git: Git, top: string, absolute: readonly string[]): Promise<Result<WorkTarget, Failure>> {
  const paths = absolute.map((path) => relative(top, path).split(sep).join("/"));
  const stray = paths.findIndex((path) => path === ".." || path.startsWith("../../"));
  if (stray >= 0) return fail("bad_input", `${absolute[stray]} is not in ${top}.`);
  const base = await findCommit(git, "HEAD");
  if (base === null) return fail("no_commit", `${top} has no commit yet: a worktree starts from one.`);
  const repository = await commonGitFolder(git, top);
  const uncommitted = (await lines(git, ["status", "--porcelain"])).length;
  return ok({ git, top, repository, base, paths: paths.includes("") ? [] : paths, uncommitted });
}
