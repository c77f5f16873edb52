import type { InputOf, OutputOf } from "../../contract/operations.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import type { TaskState } from "../../contract/tasks.ts";
import { omitUndefined } from "../../shared/given.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { ChatLink, Trouble } from "../link/chat-link.ts";

/** Tasks of the types that a chat asked for and did not get, and why. */
export type Waited = {
  readonly type: string;
  readonly tasks: readonly number[];
  /** Tasks that have to end first, with their states. */
  readonly waitsFor: readonly { readonly task: number; readonly state: TaskState }[];
  /** Capabilities that the chat has not. */
  readonly needs: readonly string[];
  /** Until the first of them is due, in ms; null: they do not wait for a time. */
  readonly dueInMs: number | null;
};

const withinMs = 5_000;
const mostListed = 200;
/** Tasks that are looked at one by one. */
const mostRead = 20;
const ended: ReadonlySet<TaskState> = new Set(["done", "dead", "cancelled"]);

type Task = OutputOf<"tasks.get">;

/** @param types empty: all */
function list(
  link: ChatLink,
  state: TaskState,
  types: readonly string[],
): Promise<Result<OutputOf<"tasks.list">, Trouble>> {
  const type = types.length === 1 ? types[0] : undefined;
  const wanted: InputOf<"tasks.list"> = { state, limit: mostListed, ...omitUndefined({ type }) };
  return link.call("tasks.list", wanted, withinMs);
}

function ofTypes(tasks: readonly TaskLine[], types: readonly string[]): TaskLine[] {
  return tasks.filter(({ type }) => types.length === 0 || types.includes(type)).slice(0, mostRead);
}

/** Those that are in one state, each as it is now; one that is gone meanwhile is left out. */
async function read(link: ChatLink, state: TaskState, types: readonly string[]): Promise<Result<Task[], Trouble>> {
  const listed = await list(link, state, types);
  if (!listed.ok) return listed;
  const found: Task[] = [];
  for (const { task } of ofTypes(listed.value.tasks, types)) {
    const one = await link.call("tasks.get", { task }, withinMs);
    if (one.ok && one.value.state === state) found.push(one.value);
  }
  return ok(found);
}

/** [TE40] Queued tasks of these types that the chat could take now. */
export async function takable(
  link: ChatLink,
  types: readonly string[],
  able: readonly string[],
): Promise<Result<Task[], Trouble>> {
  const queued = await read(link, "queued", types);
  return queued.ok ? ok(queued.value.filter((task) => lacking(task, able).length === 0)) : queued;
}

function lacking({ capabilities }: Task, able: readonly string[]): string[] {
  return capabilities.filter((one) => !able.includes(one));
}

/** [TE39] Why a chat that asked for tasks of these types got none; one entry for each type that has some. */
export async function waited(
  link: ChatLink,
  types: readonly string[],
  able: readonly string[],
): Promise<Result<Waited[], Trouble>> {
  const tasks: Task[] = [];
  for (const state of ["blocked", "scheduled", "queued"] as const) {
    const found = await read(link, state, types);
    if (!found.ok) return found;
    // What is queued and fits was taken in the same moment, or the chat takes no more.
    tasks.push(...found.value.filter((task) => state !== "queued" || lacking(task, able).length > 0));
  }
  const states = await statesOf(link, new Set(tasks.flatMap(({ dependsOn }) => dependsOn)));
  return ok([...Map.groupBy(tasks, ({ type }) => type)].map(([type, own]) => waitedOf(type, own, states, able)));
}

/** Of those that have not ended. */
async function statesOf(link: ChatLink, tasks: ReadonlySet<number>): Promise<Map<number, TaskState>> {
  const states = new Map<number, TaskState>();
  for (const task of [...tasks].slice(0, mostRead)) {
    const one = await link.call("tasks.get", { task }, withinMs);
    if (one.ok && !ended.has(one.value.state)) states.set(task, one.value.state);
  }
  return states;
}

function waitedOf(
  type: string,
  tasks: readonly Task[],
  states: ReadonlyMap<number, TaskState>,
  able: readonly string[],
): Waited {
  const before = [...new Set(tasks.flatMap(({ dependsOn }) => dependsOn))].toSorted((a, b) => a - b);
  const due = tasks.flatMap(({ state, dueInMs }) => (state === "scheduled" && dueInMs !== null ? [dueInMs] : []));
  return {
    type,
    tasks: tasks.map(({ task }) => task).toSorted((a, b) => a - b),
    waitsFor: before.flatMap((task) => {
      const state = states.get(task);
      return state === undefined ? [] : [{ task, state }];
    }),
    needs: [...new Set(tasks.flatMap((task) => lacking(task, able)))],
    dueInMs: due.length === 0 ? null : Math.min(...due),
  };
}
