import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { displayPath, repositoryGit, run, splitRaw, text, withAuthor, type Git } from "./git.ts";
import { gitInFolder } from "./user-repository.ts";

export interface Author {
  readonly name: string;
  readonly email: string;
}

interface MergeDeps {
  readonly env: NodeJS.ProcessEnv;
  /** Output of `git rev-parse --git-common-dir`. */
  readonly repository: string;
  readonly now: number;
  /** Default: SHIM. */
  readonly author?: Author;
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
  { now, author }: MergeDeps,
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
  const mergeCommit = await text(withAuthor(git, now, author), ["commit-tree", ...merge]);
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
