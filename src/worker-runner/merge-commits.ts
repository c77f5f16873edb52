import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Git, repositoryGit, run, displayPath, withAuthor, splitRaw, text } from "../snapshots/git.ts";

export interface MergeSide {
  readonly name: string;
  readonly commit: string;
}

export interface Conflict {
  readonly name: string;
  readonly files: readonly string[];
}

export interface MergeResult {
  /** Contains `start` and every side; conflicting files hold the markers. */
  readonly commit: string;
  readonly conflicts: readonly Conflict[];
}

export interface MergeDeps {
  readonly env: NodeJS.ProcessEnv;
  /** Output of `git rev-parse --git-common-dir`. */
  readonly repository: string;
  readonly now: number;
  readonly signal: AbortSignal;
  readonly author?: Author;
}

export interface Author {
  readonly name: string;
  readonly email: string;
}

const mergedName = "before";
/** POSIX extended expression. */
const conflictMark = `^(<{7,}|>{7,}) (${mergedName}|task-[0-9]+)`;

/**
 * [WK54] Writes only objects: no branch, index or work tree changes. Git runs in an empty
 * repository that borrows the objects, so that the repository's hooks, merge drivers and filters do
 * not run.
 *
 * @param keepsConflicts merges a conflicting side with its markers; otherwise the merge ends
 * @throws {GitError} if a commit is missing, or two have no common history
 */
export async function mergeCommits(
  deps: MergeDeps,
  start: string,
  sides: readonly MergeSide[],
  keepsConflicts: boolean,
): Promise<MergeResult> {
  const scratch = mkdtempSync(join(tmpdir(), "shim-merge-"));
  try {
    const git = await openScratchGit(deps, scratch, start);
    let commit = start;
    const conflicts: Conflict[] = [];
    for (const side of sides) {
      const sideMerge = await mergeOne(git, deps, commit, side);
      if (sideMerge.conflict) conflicts.push({ name: side.name, files: sideMerge.conflict });
      if (sideMerge.conflict && !keepsConflicts) break;
      commit = sideMerge.commit;
    }
    return { commit, conflicts };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function openScratchGit({ env, repository, signal }: MergeDeps, scratch: string, start: string): Promise<Git> {
  const gitDir = join(scratch, "git");
  const workTree = join(scratch, "tree");
  mkdirSync(workTree);
  const format = start.length > 40 ? "sha256" : "sha1";
  const scratchGit = repositoryGit(env, { gitDir, workTree }, signal);
  await run(scratchGit, ["init", "--quiet", "--template=", `--object-format=${format}`, "--initial-branch=none"]);
  // Only the repository knows where the history of a shallow clone ends.
  const shallow = join(repository, "shallow");
  if (existsSync(shallow)) copyFileSync(shallow, join(gitDir, "shallow"));
  return { ...scratchGit, env: { ...scratchGit.env, GIT_OBJECT_DIRECTORY: join(repository, "objects") } };
}

interface SideMerge {
  readonly commit: string;
  readonly conflict: readonly string[] | null;
}

async function mergeOne(git: Git, deps: MergeDeps, commit: string, side: MergeSide): Promise<SideMerge> {
  if (await isAncestor(git, side.commit, commit)) return { commit, conflict: null };
  if (await isAncestor(git, commit, side.commit)) return { commit: side.commit, conflict: null };
  await run(git, ["update-ref", `refs/heads/${mergedName}`, commit]);
  await run(git, ["update-ref", `refs/heads/${side.name}`, side.commit]);
  // Without a work tree git does not read `.gitattributes`. Exit code 1: there is none.
  await run(git, ["checkout", "--quiet", commit, "--", ":(glob)**/.gitattributes"], "", [0, 1]);
  // Conflict markers show these branch names.
  const args = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", mergedName, side.name];
  const { code, stdout } = await run(git, args, "", [0, 1]);
  const [tree = "", ...files] = splitRaw(stdout);
  const message = `shim: merge ${side.name}${code === 1 ? ", with conflicts" : ""}`;
  const merge = [tree, "-p", commit, "-p", side.commit, "-m", message];
  const mergeCommit = await text(withMergeAuthor(git, deps), ["commit-tree", ...merge]);
  return { commit: mergeCommit, conflict: code === 1 ? files.map(displayPath) : null };
}

function withMergeAuthor(git: Git, { now, author }: MergeDeps): Git {
  const signedGit = withAuthor(git, now);
  if (!author) return signedGit;
  const { name, email } = author;
  const asAuthor = { GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email };
  const asCommitter = { GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email };
  return { ...signedGit, env: { ...signedGit.env, ...asAuthor, ...asCommitter } };
}

async function isAncestor(git: Git, ancestor: string, commit: string): Promise<boolean> {
  return (await run(git, ["merge-base", "--is-ancestor", ancestor, commit], "", [0, 1])).code === 0;
}

export async function unresolved(git: Git, files: readonly string[]): Promise<string[]> {
  if (files.length === 0) return [];
  const options = ["-z", "-l", "-I", "--no-textconv", "--untracked", "--no-exclude-standard"];
  const literal = { ...git, before: [...git.before, "--literal-pathspecs"] };
  const { stdout } = await run(literal, ["grep", ...options, "-E", conflictMark, "--", ...files], "", [0, 1]);
  return splitRaw(stdout).map(displayPath);
}
