import * as z from "zod";
import type { InputOf, OutputOf } from "../contract/operations.ts";
import type { ClaimedTask } from "../contract/tasks.ts";
import type { Json } from "../contract/json.ts";
import type { Result } from "../shared/result.ts";
import { WorkResult } from "../contract/work-result.ts";
import { TaskFolderError } from "./task-folder.ts";

export interface InputWork {
  readonly task: number;
  /** The branch may be in another repository. */
  readonly branch: string;
  readonly commit: string;
  readonly machine: string | null;
}

export type GetTask = (
  input: InputOf<"tasks.get">,
) => Promise<Result<OutputOf<"tasks.get">, { readonly message: string }>>;

/** Ends chains of joins. */
const maxRead = 200;

/**
 * Lists each commit once, in dependency order; a join by the coordinator has those of its parts.
 *
 * @throws {TaskFolderError} if a result cannot be read
 */
export async function readInputWork(get: GetTask, inputs: ClaimedTask["inputs"]): Promise<InputWork[]> {
  const workByTask = new Map<number, InputWork | null>();
  for (const { task, state, result, isLeftOut } of inputs) {
    if (state !== "done") continue;
    const isDirect = !isLeftOut && !isJoinedResult(result);
    if (isDirect) workByTask.set(task, parseWork(task, result));
    else await readWork(get, task, workByTask);
  }
  return presentWork(workByTask);
}

export async function readTaskWork(get: GetTask, task: number): Promise<InputWork[]> {
  const workByTask = new Map<number, InputWork | null>();
  await readWork(get, task, workByTask);
  return presentWork(workByTask);
}

function presentWork(workByTask: ReadonlyMap<number, InputWork | null>): InputWork[] {
  return [...workByTask.values()].filter((work) => work !== null);
}

async function readWork(get: GetTask, task: number, workByTask: Map<number, InputWork | null>): Promise<void> {
  if (workByTask.has(task)) return;
  if (workByTask.size >= maxRead)
    throw new TaskFolderError(`more than ${maxRead} results of other tasks belong to its inputs`, false);
  const answer = await get({ task });
  if (!answer.ok) throw new TaskFolderError(`the result of task ${task} cannot be read: ${answer.error.message}`, true);
  const { state, result, joinRule, dependsOn } = answer.value;
  workByTask.set(task, state === "done" && joinRule === null ? parseWork(task, result) : null);
  if (state !== "done" || joinRule === null) return;
  for (const part of dependsOn) await readWork(get, part, workByTask);
}

const JoinedResult = z.object({ value: z.unknown(), conflicts: z.array(z.unknown()), isComplete: z.boolean() });

function isJoinedResult(result: Json): boolean {
  return JoinedResult.safeParse(result).success;
}

function parseWork(task: number, result: Json): InputWork | null {
  const { data } = WorkResult.safeParse(result);
  if (!data || data.branch === null) return null;
  return { task, branch: data.branch, commit: data.commit, machine: data.machine ?? null };
}
