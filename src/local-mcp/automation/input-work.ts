import * as z from "zod";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import type { Result } from "../../shared/result.ts";
import { WorkResult } from "../../contract/work-result.ts";
import { PlaceError } from "./work-place.ts";

/** A commit that a worker named in the result of a task. */
export interface InputWork {
  readonly task: number;
  /** The branch that the worker made; it may be in another repository. */
  readonly branch: string;
  readonly commit: string;
  /** Where it was made; null: an older version of SHIM did not say. */
  readonly machine: string | null;
}

type Get = (input: InputOf<"tasks.get">) => Promise<Result<OutputOf<"tasks.get">, { readonly message: string }>>;

/** Of all tasks below one, so that results of coordinators' joins that lead to others come to an end. */
const mostAsked = 200;

/**
 * The commits that a task's inputs have left, in the order in which the task depends on them, each once. A result that the coordinator joined has none
 * of its own: then those of what it joined count. One that changed nothing, or worked on no branch, is left out.
 *
 * @throws {PlaceError} when the coordinator does not tell a result
 */
export async function inputWork(get: Get, inputs: ClaimedTask["inputs"]): Promise<InputWork[]> {
  const found = new Map<number, InputWork | null>();
  for (const { task, state, result, isLeftOut } of inputs) {
    if (state !== "done") continue;
    const isPlain = !isLeftOut && !isJoined(result);
    if (isPlain) found.set(task, workIn(task, result));
    else await askFor(get, task, found);
  }
  return worksOf(found);
}

/** The same of one task that is done, by its own result, or where the coordinator joined it by those of its parts. */
export async function workOf(get: Get, task: number): Promise<InputWork[]> {
  const found = new Map<number, InputWork | null>();
  await askFor(get, task, found);
  return worksOf(found);
}

function worksOf(found: ReadonlyMap<number, InputWork | null>): InputWork[] {
  return [...found.values()].filter((work) => work !== null);
}

async function askFor(get: Get, task: number, found: Map<number, InputWork | null>): Promise<void> {
  if (found.has(task)) return;
  if (found.size >= mostAsked)
    throw new PlaceError(`more than ${mostAsked} results of other tasks belong to its inputs`, false);
  const answer = await get({ task });
  if (!answer.ok) throw new PlaceError(`the result of task ${task} cannot be read: ${answer.error.message}`, true);
  const { state, result, joinRule, dependsOn } = answer.value;
  found.set(task, state === "done" && joinRule === null ? workIn(task, result) : null);
  if (state !== "done" || joinRule === null) return;
  for (const part of dependsOn) await askFor(get, part, found);
}

const Joined = z.object({ value: z.unknown(), conflicts: z.array(z.unknown()), isComplete: z.boolean() });

function isJoined(result: Json): boolean {
  return Joined.safeParse(result).success;
}

function workIn(task: number, result: Json): InputWork | null {
  const { data } = WorkResult.safeParse(result);
  if (!data || data.branch === null) return null;
  return { task, branch: data.branch, commit: data.commit, machine: data.machine ?? null };
}
