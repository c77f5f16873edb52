import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { CallError } from "../../contract/errors.ts";
import type { TaskLine } from "../../contract/task-views.ts";
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

async function listTasks(
  link: CoordinatorClient,
  state: TaskState,
  types: readonly string[],
): Promise<Result<TaskLine[], CallError>> {
  const type = types.length === 1 ? types[0] : undefined;
  const list = await link.call("tasks.list", { state, limit: maxListed, ...omitUndefined({ type }) }, timeoutMs);
  if (!list.ok) return list;
  const ofTypes = list.value.tasks.filter(({ type }) => types.length === 0 || types.includes(type));
  return ok(ofTypes.slice(0, maxRead));
}

export async function findClaimable(
  link: CoordinatorClient,
  types: readonly string[],
  abilities: readonly string[],
): Promise<Result<TaskLine[], CallError>> {
  const queued = await listTasks(link, "queued", types);
  return queued.ok ? ok(queued.value.filter((task) => missingCapabilities(task, abilities).length === 0)) : queued;
}

function missingCapabilities({ capabilities }: TaskLine, abilities: readonly string[]): string[] {
  return capabilities.filter((one) => !abilities.includes(one));
}

export async function findWaiting(
  link: CoordinatorClient,
  types: readonly string[],
  abilities: readonly string[],
): Promise<Result<WaitingTasks[], CallError>> {
  const tasks: WaitingTask[] = [];
  for (const state of ["blocked", "scheduled", "queued"] as const) {
    const listed = await listTasks(link, state, types);
    if (!listed.ok) return listed;
    for (const task of listed.value) {
      const missing = missingCapabilities(task, abilities);
      // A queued task that fits was taken meanwhile, or the chat takes no more.
      if (state === "queued" && missing.length === 0) continue;
      tasks.push({ ...task, missing, waitsFor: state === "blocked" ? await readNeeds(link, task) : [] });
    }
  }
  return ok([...Map.groupBy(tasks, ({ type }) => type)].map(([type, all]) => toWaitingTasks(type, all)));
}

interface WaitingTask extends Pick<TaskLine, "task" | "type" | "state" | "dueInMs"> {
  readonly missing: readonly string[];
  readonly waitsFor: WaitingTasks["waitsFor"];
}

async function readNeeds(link: CoordinatorClient, { task }: TaskLine): Promise<WaitingTasks["waitsFor"]> {
  const explained = await link.call("tasks.explain", { task }, timeoutMs);
  const needs = explained.ok ? explained.value.needs : [];
  return needs.flatMap(({ task: needed, known }) =>
    known === null || endedStates.has(known.state) ? [] : [{ task: needed, state: known.state }],
  );
}

function toWaitingTasks(type: string, tasks: readonly WaitingTask[]): WaitingTasks {
  const waitsFor = new Map(tasks.flatMap((one) => one.waitsFor.map((needed) => [needed.task, needed])));
  const dueTimes = tasks.flatMap(({ state, dueInMs }) => (state === "scheduled" && dueInMs !== null ? [dueInMs] : []));
  return {
    type,
    tasks: tasks.map(({ task }) => task).toSorted((a, b) => a - b),
    waitsFor: [...waitsFor.values()].toSorted((a, b) => a.task - b.task),
    needs: [...new Set(tasks.flatMap(({ missing }) => missing))],
    dueInMs: dueTimes.length === 0 ? null : Math.min(...dueTimes),
  };
}
