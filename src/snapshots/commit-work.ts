import { copyFileSync, rmSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import { diskPath, displayPath, joinRaw, run, splitRaw, text, withAuthor, type Git, repositoryGit } from "./git.ts";
import { SecretContent, secretIn } from "./secret-content.ts";
import { isSecretName, secretName } from "./secret-names.ts";
import { ownRepository, readStats, type ExcludedFile } from "./selection.ts";
import { resolveCommit, gitInFolder } from "./user-repository.ts";
import { changesSince, type FileChange } from "./work-tree.ts";

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

/** A patch; "" without a change. Runs no program that the repository's settings name. */
export async function readDiff(git: Git, base: string, commit: string): Promise<string> {
  const plain = ["--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"];
  return (await run(git, ["diff", ...plain, "--patch", "--binary", base, commit])).stdout.toString("utf8");
}

interface MergeDeps {
  readonly env: NodeJS.ProcessEnv;
  /** Output of `git rev-parse --git-common-dir`. */
  readonly repository: string;
  readonly now: number;
}

export interface Conflict<Work> {
  readonly work: Work;
  readonly files: string[];
}

/** Work of a task, as a commit. */
interface TaskCommit {
  readonly task: number;
  readonly commit: string;
}

const mergedName = "before";
/** POSIX extended expression. */
const conflictMark = `^(<{7,}|>{7,}) (${mergedName}|task-[0-9]+)`;

/**
 * Writes only objects: no branch, index or work tree changes. Git runs in an empty
 * repository that borrows the objects, so that the repository's hooks, merge drivers and filters do
 * not run.
 *
 * @param keepsConflicts merges conflicting work with its markers; otherwise the merge ends
 * @returns a commit that contains `start` and every work
 * @throws {GitError} if a commit is missing, or two have no common history
 */
export async function mergeWork<Work extends TaskCommit>(
  deps: MergeDeps,
  start: string,
  works: readonly Work[],
  keepsConflicts: boolean,
): Promise<{ readonly commit: string; readonly conflicts: readonly Conflict<Work>[] }> {
  const scratch = mkdtempSync(join(tmpdir(), "shim-merge-"));
  try {
    const git = await openScratchGit(deps, scratch, start);
    let commit = start;
    const conflicts: Conflict<Work>[] = [];
    for (const work of works) {
      const merge = await mergeOne(git, deps, commit, work);
      if (merge.files) conflicts.push({ work, files: merge.files });
      if (merge.files && !keepsConflicts) break;
      commit = merge.commit;
    }
    return { commit, conflicts };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function openScratchGit({ env, repository }: MergeDeps, scratch: string, start: string): Promise<Git> {
  const gitDir = join(scratch, "git");
  const workTree = join(scratch, "tree");
  mkdirSync(workTree);
  const { signal } = gitInFolder(env, repository);
  const format = start.length > 40 ? "sha256" : "sha1";
  const scratchGit = repositoryGit(env, { gitDir, workTree }, signal);
  await run(scratchGit, ["init", "--quiet", "--template=", `--object-format=${format}`, "--initial-branch=none"]);
  // Only the repository knows where the history of a shallow clone ends.
  const shallow = join(repository, "shallow");
  if (existsSync(shallow)) copyFileSync(shallow, join(gitDir, "shallow"));
  return { ...scratchGit, env: { ...scratchGit.env, GIT_OBJECT_DIRECTORY: join(repository, "objects") } };
}

/** `files`: those in conflict; null: none. */
async function mergeOne(
  git: Git,
  { now }: MergeDeps,
  commit: string,
  work: TaskCommit,
): Promise<{ readonly commit: string; readonly files: string[] | null }> {
  if (await isAncestor(git, work.commit, commit)) return { commit, files: null };
  if (await isAncestor(git, commit, work.commit)) return { commit: work.commit, files: null };
  const name = `task-${work.task}`;
  await run(git, ["update-ref", `refs/heads/${mergedName}`, commit]);
  await run(git, ["update-ref", `refs/heads/${name}`, work.commit]);
  // Without a work tree git does not read `.gitattributes`. Exit code 1: there is none.
  await run(git, ["checkout", "--quiet", commit, "--", ":(glob)**/.gitattributes"], "", [0, 1]);
  // Conflict markers show these branch names.
  const args = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", mergedName, name];
  const { code, stdout } = await run(git, args, "", [0, 1]);
  const [tree = "", ...files] = splitRaw(stdout);
  const message = `shim: merge ${name}${code === 1 ? ", with conflicts" : ""}`;
  const merge = [tree, "-p", commit, "-p", work.commit, "-m", message];
  const mergeCommit = await text(withAuthor(git, now), ["commit-tree", ...merge]);
  return { commit: mergeCommit, files: code === 1 ? files.map(displayPath) : null };
}

async function isAncestor(git: Git, ancestor: string, commit: string): Promise<boolean> {
  return (await run(git, ["merge-base", "--is-ancestor", ancestor, commit], "", [0, 1])).code === 0;
}

/** @returns those of the files that still hold a mark of a conflict */
export async function unresolved(git: Git, files: readonly string[]): Promise<string[]> {
  if (files.length === 0) return [];
  const options = ["-z", "-l", "-I", "--no-textconv", "--untracked", "--no-exclude-standard"];
  const literal = { ...git, before: [...git.before, "--literal-pathspecs"] };
  const { stdout } = await run(literal, ["grep", ...options, "-E", conflictMark, "--", ...files], "", [0, 1]);
  return splitRaw(stdout).map(displayPath);
}
