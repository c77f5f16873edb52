import type { InputWork } from "./input-work.ts";
import { mergeCommits } from "./merge-commits.ts";
import { fetchCommit } from "./remote-branches.ts";
import { GitError, type Git } from "../snapshots/git.ts";
import { gitInFolder, hasCommit } from "./work-git.ts";
import { noMergedInputs, TaskFolderError, type MergedInputs } from "./task-folder.ts";

export interface InputSettings {
  readonly isMerged: boolean;
  readonly isConflictKept: boolean;
  readonly remote: string | null;
}

export interface InputDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => number;
  readonly inputs: InputSettings;
}

export interface MergedStart {
  readonly commit: string;
  readonly merged: MergedInputs;
  readonly notes: readonly string[];
}

/**
 * [WK30] Merges the inputs in dependency order.
 *
 * @param folder a folder in the repository
 * @param repository the repository's own folder
 * @throws {TaskFolderError} [WK31] for a conflict; [WK32] for a missing commit
 */
export async function startWithInputs(
  deps: InputDeps,
  { folder, repository, task }: { readonly folder: string; readonly repository: string; readonly task: number },
  start: string,
  works: readonly InputWork[],
): Promise<MergedStart> {
  if (works.length === 0) return { commit: start, merged: noMergedInputs, notes: [] };
  const git = gitInFolder(deps.env, folder);
  await fetchMissing(git, deps.inputs.remote, task, works);
  const { env, now, inputs } = deps;
  const sides = works.map((work) => ({ name: `task-${work.task}`, commit: work.commit }));
  const mergeDeps = { env, repository, now: now(), signal: git.signal };
  const { commit, conflicts } = await mergeOrFail(task, () =>
    mergeCommits(mergeDeps, start, sides, inputs.isConflictKept),
  );
  const foundConflicts = works.flatMap((work) =>
    conflicts.filter(({ name }) => name === `task-${work.task}`).map(({ files }) => ({ work, files })),
  );
  if (foundConflicts.length > 0 && !inputs.isConflictKept) throw toConflictError(task, foundConflicts);
  const tasks = works.map((work) => work.task);
  return {
    commit,
    merged: { tasks, conflicts: foundConflicts.map(({ work, files }) => ({ task: work.task, files })) },
    notes: [
      `the work of task${tasks.length === 1 ? "" : "s"} ${tasks.join(", ")} is merged into its worktree`,
      ...foundConflicts.map((conflict) => `${describeConflict(conflict)}: to be resolved there`),
    ],
  };
}

async function mergeOrFail<T>(task: number, merge: () => Promise<T>): Promise<T> {
  try {
    return await merge();
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    throw new TaskFolderError(`inputs of task ${task}: they cannot be merged: ${error.message}`, true);
  }
}

interface FoundConflict {
  readonly work: InputWork;
  readonly files: readonly string[];
}

const maxFilesShown = 8;

function describeConflict({ work, files }: FoundConflict): string {
  const moreText = files.length > maxFilesShown ? ` and ${files.length - maxFilesShown} more` : "";
  return `task ${work.task} conflicts with what was merged before it in ${files.slice(0, maxFilesShown).join(", ")}${moreText}`;
}

function toConflictError(task: number, foundConflicts: readonly FoundConflict[]): TaskFolderError {
  const [firstConflict] = foundConflicts;
  const subject = firstConflict ? describeConflict(firstConflict) : "they conflict";
  const branch = firstConflict ? ` (${firstConflict.work.branch})` : "";
  return new TaskFolderError(
    `inputs of task ${task}: ${subject}${branch}; merge the branches of its inputs into the base, then: shim task replay ${task}`,
    false,
  );
}

async function fetchMissing(git: Git, remote: string | null, task: number, works: readonly InputWork[]): Promise<void> {
  const missing: string[] = [];
  for (const work of works) {
    const reason = (await hasCommit(git, work.commit)) ? null : await fetchWork(git, remote, work);
    if (reason !== null) missing.push(reason);
  }
  if (missing.length === 0) return;
  const advice =
    remote === null
      ? "name a remote that all workers share (remote in the worker's settings), or fetch the branch"
      : "";
  const text = [missing.join("; "), advice].filter(Boolean).join("; ");
  throw new TaskFolderError(`inputs of task ${task}: ${text}`, true);
}

async function fetchWork(git: Git, remote: string | null, work: InputWork): Promise<string | null> {
  const { task, branch, commit, machine } = work;
  const origin = machine === null ? "" : ` of machine ${machine}`;
  const subject = `commit ${commit.slice(0, 12)}${origin} is not here (task ${task}, branch ${branch})`;
  if (remote === null) return subject;
  const reason = await fetchCommit(git, remote, branch, commit);
  return reason === null ? null : `${subject}: ${reason}`;
}
