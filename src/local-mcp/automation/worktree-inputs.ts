import type { InputWork } from "./input-work.ts";
import { mergeCommits } from "./merge-commits.ts";
import { fetchCommit } from "./remote-branches.ts";
import { GitError, type Git } from "../snapshots/git.ts";
import { gitAt, hasCommit } from "./work-git.ts";
import { nothingMerged, PlaceError, type MergedInputs } from "./work-place.ts";

export interface InputSettings {
  /** false: new worktrees begin at the base alone. */
  readonly isMerged: boolean;
  /** A conflict of the inputs is handed to whoever does the task; else the task fails with the files named. */
  readonly isConflictKept: boolean;
  /** A remote of the repository to which finished work goes, and from which missing commits come; null: none. */
  readonly remote: string | null;
}

export interface InputSurroundings {
  readonly env: NodeJS.ProcessEnv;
  /** Epoch ms. */
  readonly now: () => number;
  readonly inputs: InputSettings;
}

export interface Begin {
  /** The commit that a worktree begins from. */
  readonly commit: string;
  readonly merged: MergedInputs;
  readonly notes: readonly string[];
}

/**
 * [WK30] Where the worktree of a task begins: at `start`, with the commits of its inputs merged in the order in which it depends on them.
 *
 * @param folder a folder in the repository
 * @param repository the repository's own folder
 * @throws {PlaceError} [WK31] when they conflict and this is not handed on; [WK32] when a commit is not here
 */
export async function beginWith(
  around: InputSurroundings,
  { folder, repository, task }: { readonly folder: string; readonly repository: string; readonly task: number },
  start: string,
  works: readonly InputWork[],
): Promise<Begin> {
  if (works.length === 0) return { commit: start, merged: nothingMerged, notes: [] };
  const git = gitAt(around.env, folder);
  await bringAll(git, around.inputs.remote, task, works);
  const { env, now, inputs } = around;
  const sides = works.map((work) => ({ name: `task-${work.task}`, commit: work.commit }));
  const place = { env, repository, now: now(), signal: git.signal };
  const { commit, conflicts } = await merged(task, () => mergeCommits(place, start, sides, inputs.isConflictKept));
  const found = works.flatMap((work) =>
    conflicts.filter(({ name }) => name === `task-${work.task}`).map(({ files }) => ({ work, files })),
  );
  if (found.length > 0 && !inputs.isConflictKept) throw conflicting(task, found);
  const tasks = works.map((work) => work.task);
  return {
    commit,
    merged: { tasks, conflicts: found.map(({ work, files }) => ({ task: work.task, files })) },
    notes: [
      `the work of task${tasks.length === 1 ? "" : "s"} ${tasks.join(", ")} is merged into its worktree`,
      ...found.map((one) => `${saidOf(one)}: to be resolved there`),
    ],
  };
}

async function merged<T>(task: number, merge: () => Promise<T>): Promise<T> {
  try {
    return await merge();
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    throw new PlaceError(`inputs of task ${task}: they cannot be merged: ${error.message}`, true);
  }
}

interface Found {
  readonly work: InputWork;
  readonly files: readonly string[];
}

const mostFiles = 8;

function saidOf({ work, files }: Found): string {
  const more = files.length > mostFiles ? ` and ${files.length - mostFiles} more` : "";
  return `task ${work.task} conflicts with what was merged before it in ${files.slice(0, mostFiles).join(", ")}${more}`;
}

function conflicting(task: number, found: readonly Found[]): PlaceError {
  const [first] = found;
  const what = first ? saidOf(first) : "they conflict";
  const branch = first ? ` (${first.work.branch})` : "";
  return new PlaceError(
    `inputs of task ${task}: ${what}${branch}; merge the branches of its inputs into the base, then: shim queue replay ${task}`,
    false,
  );
}

async function bringAll(git: Git, remote: string | null, task: number, works: readonly InputWork[]): Promise<void> {
  const missing: string[] = [];
  for (const work of works) {
    const reason = (await hasCommit(git, work.commit)) ? null : await bring(git, remote, work);
    if (reason !== null) missing.push(reason);
  }
  if (missing.length === 0) return;
  const advice =
    remote === null
      ? "name a remote that all workers share (remote in the worker's settings), or fetch the branch"
      : "";
  const text = [missing.join("; "), advice].filter(Boolean).join("; ");
  throw new PlaceError(`inputs of task ${task}: ${text}`, true);
}

/** @returns why the commit is not here */
async function bring(git: Git, remote: string | null, work: InputWork): Promise<string | null> {
  const { task, branch, commit, machine } = work;
  const of = machine === null ? "" : ` of machine ${machine}`;
  const what = `commit ${commit.slice(0, 12)}${of} is not here (task ${task}, branch ${branch})`;
  if (remote === null) return what;
  const reason = await fetchCommit(git, remote, branch, commit);
  return reason === null ? null : `${what}: ${reason}`;
}
