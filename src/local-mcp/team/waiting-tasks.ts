import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { CallError } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { TaskState } from "../../contract/tasks.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result } from "../../shared/result.ts";

export type WaitingTasks = {
  readonly type: string;
  readonly tasks: readonly number[];
  readonly waitsFor: readonly { readonly task: number; readonly state: TaskState }[];
  readonly needs: readonly string[];
  /** Time until the first task is due; null if none waits for a time. */
  readonly dueInMs: number | null;
};

const timeoutMs = 5_000;
const maxListed = 200;
const maxRead = 20;
const endedStates: ReadonlySet<TaskState> = new Set(["done", "dead", "cancelled"]);

type Task = OutputOf<"tasks.get">;

async function readTasks(
  link: CoordinatorClient,
  state: TaskState,
  types: readonly string[],
): Promise<Result<Task[], CallError>> {
  const type = types.length === 1 ? types[0] : undefined;
  const list = await link.call("tasks.list", { state, limit: maxListed, ...omitUndefined({ type }) }, timeoutMs);
  if (!list.ok) return list;
  const tasks: Task[] = [];
  const ofTypes = list.value.tasks.filter(({ type }) => types.length === 0 || types.includes(type));
  for (const { task } of ofTypes.slice(0, maxRead)) {
    const answer = await link.call("tasks.get", { task }, timeoutMs);
    if (answer.ok && answer.value.state === state) tasks.push(answer.value);
  }
  return ok(tasks);
}

export async function findClaimable(
  link: CoordinatorClient,
  types: readonly string[],
  abilities: readonly string[],
): Promise<Result<Task[], CallError>> {
  const queued = await readTasks(link, "queued", types);
  return queued.ok ? ok(queued.value.filter((task) => missingCapabilities(task, abilities).length === 0)) : queued;
}

function missingCapabilities({ capabilities }: Task, abilities: readonly string[]): string[] {
  return capabilities.filter((one) => !abilities.includes(one));
}

export async function findWaiting(
  link: CoordinatorClient,
  types: readonly string[],
  abilities: readonly string[],
): Promise<Result<WaitingTasks[], CallError>> {
  const tasks: Task[] = [];
  for (const state of ["blocked", "scheduled", "queued"] as const) {
    const answer = await readTasks(link, state, types);
    if (!answer.ok) return answer;
    // A queued task that fits was taken meanwhile, or the chat takes no more.
    tasks.push(...answer.value.filter((task) => state !== "queued" || missingCapabilities(task, abilities).length > 0));
  }
  const states = await readOpenStates(link, new Set(tasks.flatMap(({ dependsOn }) => dependsOn)));
  return ok(
    [...Map.groupBy(tasks, ({ type }) => type)].map(([type, tasksOfType]) =>
      toWaitingTasks(type, tasksOfType, states, abilities),
    ),
  );
}

async function readOpenStates(link: CoordinatorClient, tasks: ReadonlySet<number>): Promise<Map<number, TaskState>> {
  const states = new Map<number, TaskState>();
  for (const task of [...tasks].slice(0, maxRead)) {
    const answer = await link.call("tasks.get", { task }, timeoutMs);
    if (answer.ok && !endedStates.has(answer.value.state)) states.set(task, answer.value.state);
  }
  return states;
}

function toWaitingTasks(
  type: string,
  tasks: readonly Task[],
  states: ReadonlyMap<number, TaskState>,
  abilities: readonly string[],
): WaitingTasks {
  const dependencies = [...new Set(tasks.flatMap(({ dependsOn }) => dependsOn))].toSorted((a, b) => a - b);
  const dueTimes = tasks.flatMap(({ state, dueInMs }) => (state === "scheduled" && dueInMs !== null ? [dueInMs] : []));
  return {
    type,
    tasks: tasks.map(({ task }) => task).toSorted((a, b) => a - b),
    waitsFor: dependencies.flatMap((task) => {
      const state = states.get(task);
      return state === undefined ? [] : [{ task, state }];
    }),
    needs: [...new Set(tasks.flatMap((task) => missingCapabilities(task, abilities)))],
    dueInMs: dueTimes.length === 0 ? null : Math.min(...dueTimes),
  };
}
