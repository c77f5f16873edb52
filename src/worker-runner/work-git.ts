import { copyFileSync, existsSync, lstatSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as pause, setImmediate as breathe } from "node:timers/promises";
import { codeOf } from "../shared/error.ts";
import { withoutSecrets } from "../platform/secret-env.ts";
import {
  type Git,
  GitError,
  userGit,
  run,
  withAuthor,
  text,
  joinRaw,
  diskPath,
  displayPath,
} from "../snapshots/git.ts";
import { SecretContent, secretIn } from "../snapshots/secret-content.ts";
import { isSecretName, secretName } from "../snapshots/secret-names.ts";
import { type ExcludedFile, ownRepository, readStats } from "../snapshots/selection.ts";
import { changesSince, type FileChange } from "../snapshots/work-tree.ts";

const gitTimeoutMs = 600_000;

export function gitInFolder(env: NodeJS.ProcessEnv, folder: string): Git {
  return userGit(withoutSecrets(env), folder, AbortSignal.timeout(gitTimeoutMs));
}

/**
 * [WK47] Located by the repository, since a program may have replaced the worktree's `.git`.
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

export async function hasCommit(git: Git, hash: string): Promise<boolean> {
  return (await run(git, ["cat-file", "-e", `${hash}^{commit}`], "", [0, 1, 128])).code === 0;
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
 * [WK45] Commits the content under `ref` and leaves branch and index alone.
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
  const indexPath = await gitPath(git, "index");
  copyFileSync(indexPath, index);
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
  const folder = await text(git, ["rev-parse", "--absolute-git-dir"]);
  return join(folder, name);
}

/** Caused by another git process at work. */
const transientError = /failed to read|could not lock|unable to create '[^']*\.lock'/i;
const pausesMs = [50, 100, 200, 400, 800];

/**
 * `git worktree` reads also worktrees that other workers have half made (seen: "failed to read
 * .git/worktrees/tree1/commondir").
 *
 * @param retryArgs arguments after a failure, which may have left a part
 */
export async function worktreeCommand(git: Git, args: readonly string[], retryArgs = args): Promise<void> {
  for (const [tries, pauseMs] of pausesMs.entries()) {
    try {
      await run(git, ["worktree", ...(tries === 0 ? args : retryArgs)]);
      return;
    } catch (error) {
      if (!(error instanceof GitError) || !transientError.test(error.message)) throw error;
    }
    await pause(pauseMs);
  }
  await run(git, ["worktree", ...retryArgs]);
}

/** @throws {GitError} if the folder is in no work tree */
export function worktreeTop(env: NodeJS.ProcessEnv, folder: string): Promise<string> {
  return text(gitInFolder(env, folder), ["rev-parse", "--show-toplevel"]);
}

/** Yields to other work of this process after each turn. */
const filesPerTurn = 50;

/** [WK11] Leaves out files and changes with secrets, and repositories in the worktree. */
async function stageWork(git: Git, tree: string): Promise<ExcludedFile[]> {
  await run(git, ["add", "--update", "."]);
  const { changes } = await changesSince(git, "HEAD");
  const content = new SecretContent();
  const leftOut: (ExcludedFile & { readonly change: FileChange })[] = [];
  const isNew: FileChange[] = [];
  for (const [index, change] of changes.entries()) {
    if (index % filesPerTurn === filesPerTurn - 1) await breathe();
    const reason = await findReason(git, tree, content, change);
    if (reason !== null) leftOut.push({ path: displayPath(change.path), reason, change });
    else if (!change.isTracked && readStats(tree, change.path)) isNew.push(change);
  }
  await stagePaths(git, ["add"], isNew);
  await stagePaths(
    git,
    ["reset", "--quiet"],
    leftOut.map(({ change }) => change).filter(({ isTracked }) => isTracked),
  );
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
