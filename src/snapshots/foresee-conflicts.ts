import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createPrivateFolder } from "../platform/private-files.ts";
import { readAnswer, type FileConflict } from "./merge-answer.ts";
import { GitError, repositoryGit, run, text, userGit, withAuthor, withTimeLimit, type Git } from "./git.ts";
import { repositoryFor, type OpenRepository, type SnapshotHost } from "./repository.ts";
import type { SnapshotLimits } from "./selection.ts";
import { writeTree } from "./take-snapshot.ts";
import { discover, gitNumber, type WorkTree } from "./work-tree.ts";

export interface ChatTree {
  /** Root of the work tree. */
  readonly root: string;
  /** A snapshot in SHIM's repository that no edit followed; null: the files are read. */
  readonly commit: string | null;
}

export interface ForeseeInput extends SnapshotHost {
  /** Work trees of one repository. */
  readonly trees: readonly ChatTree[];
  readonly snapshots: string;
  readonly limits: SnapshotLimits;
  readonly timeoutMs: number;
  readonly now: number;
  /** States of pairs whose conflicts are known. */
  readonly known: readonly string[];
  readonly signal?: AbortSignal;
}

export interface Forecast {
  readonly pairs: readonly ForeseenPair[];
  /** Why work trees or pairs were left out, for the log. */
  readonly problems: readonly string[];
}

export interface ForeseenPair {
  readonly roots: readonly [string, string];
  /** Digest of what is merged. */
  readonly state: string;
  /** Files that cannot be merged; null: that state is known. */
  readonly conflicts: readonly FileConflict[] | null;
}

/** `git merge-tree --write-tree` came with 2.38 (October 2022). */
const minMergeTree = 2_038;

/** Whether this git can merge without a work tree. @param versionText what `git version` prints */
export function canForesee(versionText: string): boolean {
  return gitNumber(versionText) >= minMergeTree;
}

interface Written {
  /** Root as it was given. */
  readonly folder: string;
  readonly tree: WorkTree;
  readonly head: string;
  readonly root: string;
  readonly objects: readonly string[];
}

/**
 * [CF1] Merges the work trees pair by pair, each as a commit on its HEAD, in a scratch beside
 * SHIM's repository: the project and that repository are only read, and nothing of it stays. Needs
 * no repository lock, so that no snapshot waits.
 */
export async function foreseeConflicts(input: ForeseeInput): Promise<Forecast> {
  const problems: string[] = [];
  return withTimeLimit<Forecast>(
    input,
    async (signal) => {
      createPrivateFolder(input.snapshots);
      const version = await text(userGit(input.env, input.snapshots, signal), ["version"]);
      if (!canForesee(version)) throw new GitError("failed", `${version} is too old: to foresee conflicts takes 2.38`);
      const scratch = join(input.snapshots, "foreseen.work");
      // One process of a machine foresees, so leftovers belong to a killed one.
      const clear = (): void => rmSync(scratch, { recursive: true, force: true });
      clear();
      try {
        const written: Written[] = [];
        for (const [at, one] of input.trees.entries()) {
          const tree = await writeOne(input, one, join(scratch, String(at)), signal);
          if (typeof tree === "string") problems.push(`${one.root}: ${tree}`);
          else written.push(tree);
        }
        const merge = join(scratch, "merge");
        return { pairs: await mergePairs(input, written, merge, problems, signal), problems };
      } finally {
        clear();
      }
    },
    (reason) => ({ pairs: [], problems: [...problems, reason] }),
  );
}

/** @returns why it is left out */
async function writeOne(
  input: ForeseeInput,
  { root, commit }: ChatTree,
  scratch: string,
  signal: AbortSignal,
): Promise<Written | string> {
  const found = await discover(input.env, root, signal);
  if ("skipped" in found) return found.skipped;
  const tree = found.found;
  const { head, objects } = tree;
  if (head === null) return "it has no commit yet";
  const repository = repositoryFor(input.snapshots, tree);
  const owned = join(repository, "objects");
  const kept = existsSync(owned) ? [owned, objects] : [objects];
  if (commit !== null) {
    const reader = repositoryGit(input.env, { gitDir: tree.gitDir, alternates: kept }, signal);
    const { code, stdout } = await run(reader, ["rev-parse", "--verify", "--quiet", `${commit}^{tree}`], "", [0, 1]);
    // The snapshot may have been dropped.
    if (code === 0) return { folder: root, tree, head, root: stdout.toString("utf8").trim(), objects: kept };
  }
  await initialize(input.env, scratch, tree, signal);
  const opened: OpenRepository = { host: input, signal, repository, owned, scratch };
  const { root: id } = await writeTree(opened, tree, input);
  return { folder: root, tree, head, root: id, objects: [join(scratch, "objects"), ...kept] };
}

async function initialize(env: NodeJS.ProcessEnv, gitDir: string, { format }: WorkTree, signal: AbortSignal) {
  mkdirSync(join(gitDir, "info"), { recursive: true, mode: 0o700 });
  const args = ["init", "--bare", "--quiet", "--template=", "--initial-branch=none", `--object-format=${format}`];
  await run(repositoryGit(env, { gitDir }, signal), args);
}

async function mergePairs(
  input: ForeseeInput,
  written: readonly Written[],
  scratch: string,
  problems: string[],
  signal: AbortSignal,
): Promise<ForeseenPair[]> {
  const [first] = written;
  if (first === undefined || written.length < 2) return [];
  await initialize(input.env, scratch, first.tree, signal);
  const alternates = [...new Set(written.flatMap(({ objects }) => objects))];
  const known = new Set(input.known);
  const pairs: ForeseenPair[] = [];
  for (const [at, a] of written.entries())
    for (const b of written.slice(at + 1)) {
      const state = [a.root, a.head, b.root, b.head].join(" ");
      const roots = [a.folder, b.folder] as const;
      // The attributes of a work tree say how its files are merged; settings of the user's do not.
      const location = { gitDir: scratch, workTree: a.tree.top, alternates, config: a.tree.config };
      const git = withAuthor(repositoryGit(input.env, location, signal), input.now);
      try {
        pairs.push({ roots, state, conflicts: known.has(state) ? null : await merge(git, a, b) });
      } catch (error) {
        // Histories without a common commit, and objects that are gone.
        if (!(error instanceof GitError) || error.fault !== "failed") throw error;
        problems.push(`${roots.join(", ")}: ${error.message}`);
      }
    }
  return pairs;
}

/** [CF2] The base is that of the two HEADs, as `git merge` would choose it. */
async function merge(git: Git, a: Written, b: Written): Promise<FileConflict[]> {
  if (a.root === b.root) return [];
  const commits = [];
  for (const { root, head } of [a, b])
    commits.push(await text(git, ["commit-tree", root, "-p", head, "-m", "A work tree"]));
  const answer = await run(git, ["merge-tree", "--write-tree", "-z", "--no-messages", ...commits], "", [0, 1]);
  return answer.code === 0 ? [] : readAnswer(git, answer.stdout);
}
