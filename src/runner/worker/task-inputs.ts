import * as z from "zod";
import type { Json } from "../../contract/values.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import { type ClaimedTask, WorkResult } from "../../contract/tasks.ts";
import { firstOf } from "../../shared/format.ts";
import type { Result } from "../../shared/result.ts";
import { GitError, type Git } from "../../snapshots/git.ts";
import { mergeWork, type Conflict } from "../../snapshots/commit-work.ts";
import { fetchCommit, findCommit, gitInFolder } from "../../snapshots/user-repository.ts";
import { TaskFolderError, type MergedInputs, type InputWork } from "./executor.ts";
import type { WorkDeps } from "./machine-deps.ts";

type GetTask = (input: InputOf<"tasks.get">) => Promise<Result<OutputOf<"tasks.get">, { readonly message: string }>>;

/** Ends chains of joins. */
const maxRead = 200;

type Input = Pick<ClaimedTask["inputs"][number], "task" | "state" | "result" | "isLeftOut">;

/**
 * Lists each commit once, in dependency order; a join by the coordinator has those of its parts.
 *
 * @throws {TaskFolderError} if a result cannot be read
 */
export async function readInputWork(get: GetTask, inputs: readonly Input[]): Promise<InputWork[]> {
  const workByTask = new Map<number, InputWork | null>();
  const read = async (task: number): Promise<void> => {
    if (workByTask.has(task)) return;
    if (workByTask.size >= maxRead)
      throw new TaskFolderError(`more than ${maxRead} results of other tasks belong to its inputs`, false);
    const answer = await get({ task });
    if (!answer.ok)
      throw new TaskFolderError(`the result of task ${task} cannot be read: ${answer.error.message}`, true);
    const { state, result, joinRule, dependsOn } = answer.value;
    workByTask.set(task, state === "done" && joinRule === null ? parseWork(task, result) : null);
    for (const part of state === "done" && joinRule !== null ? dependsOn : []) await read(part);
  };
  for (const { task, state, result, isLeftOut } of inputs) {
    if (state !== "done") continue;
    const isDirect = !isLeftOut && !JoinedResult.safeParse(result).success;
    if (isDirect) workByTask.set(task, parseWork(task, result));
    else await read(task);
  }
  return [...workByTask.values()].filter((work) => work !== null);
}

const JoinedResult = z.object({ value: z.unknown(), isComplete: z.boolean() });

function parseWork(task: number, result: Json): InputWork | null {
  const { data } = WorkResult.safeParse(result);
  if (!data || data.branch === null) return null;
  return { task, branch: data.branch, commit: data.commit, machine: data.machine ?? null };
}

/** `reason`: git's; null where no remote was named. */
type MissingWork = InputWork & { readonly reason: string | null };

/** Fetches the commits that are not here. @returns those that are still missing */
async function fetchMissing(git: Git, remote: string | null, works: readonly InputWork[]): Promise<MissingWork[]> {
  const missing: MissingWork[] = [];
  for (const work of works) {
    if ((await findCommit(git, work.commit)) !== null) continue;
    const reason = remote === null ? null : await fetchCommit(git, remote, work.branch, work.commit);
    if (remote === null || reason !== null) missing.push({ ...work, reason });
  }
  return missing;
}

function describeCommit({ commit, machine }: InputWork): string {
  return `commit ${commit.slice(0, 12)}${machine === null ? "" : ` of machine ${machine}`}`;
}

export interface InputSettings {
  /** A model can resolve a conflict. */
  readonly isConflictKept: boolean;
  readonly remote: string | null;
}

interface MergedStart {
  readonly commit: string;
  readonly merged: MergedInputs;
  readonly notes: readonly string[];
}

/**
 * Merges the inputs in dependency order.
 *
 * @param folder a folder in the repository
 * @param repository the repository's own folder
 * @throws {TaskFolderError} for a conflict; for a missing commit
 */
export async function startWithInputs(
  { env, now, inputs }: Pick<WorkDeps, "env" | "now"> & { readonly inputs: InputSettings },
  { folder, repository, task }: { readonly folder: string; readonly repository: string; readonly task: number },
  start: string,
  works: readonly InputWork[],
): Promise<MergedStart> {
  const git = gitInFolder(env, folder);
  const missing = await fetchMissing(git, inputs.remote, works);
  if (missing.length > 0) throw missingError(task, missing, inputs.remote);
  const deps = { env, repository, now: now() };
  const { commit, conflicts } = await mergeWork(deps, start, works, inputs.isConflictKept).catch((error: unknown) => {
    if (!(error instanceof GitError)) throw error;
    throw new TaskFolderError(`inputs of task ${task}: they cannot be merged: ${error.message}`, true);
  });
  const [conflict] = conflicts;
  if (conflict && !inputs.isConflictKept)
    throw new TaskFolderError(
      `inputs of task ${task}: ${describeConflict(conflict)} (${conflict.work.branch}); merge the branches of its inputs into the base, then: shim task replay ${task}`,
      false,
    );
  const tasks = works.map((work) => work.task);
  return {
    commit,
    merged: { tasks, conflicts: conflicts.map(({ work, files }) => ({ task: work.task, files })) },
    notes: [
      `the work of task${tasks.length === 1 ? "" : "s"} ${tasks.join(", ")} is merged into its worktree`,
      ...conflicts.map((one) => `${describeConflict(one)}: to be resolved there`),
    ],
  };
}

const maxFilesShown = 8;

function describeConflict({ work, files }: Conflict<InputWork>): string {
  return `task ${work.task} conflicts with what was merged before it in ${firstOf(files, maxFilesShown)}`;
}

function missingError(task: number, missing: readonly MissingWork[], remote: string | null): TaskFolderError {
  const texts = missing.map((work) => {
    const reason = work.reason === null ? "" : `: ${work.reason}`;
    return `${describeCommit(work)} is not here (task ${work.task}, branch ${work.branch})${reason}`;
  });
  if (remote === null)
    texts.push("name a remote that all workers share (remote in the worker's settings), or fetch the branch");
  return new TaskFolderError(`inputs of task ${task}: ${texts.join("; ")}`, true);
}
