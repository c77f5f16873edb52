import { createHash } from "node:crypto";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { CallInput, OutputOf } from "../../contract/operations.ts";
import type { Schedule } from "../../contract/schedules.ts";
import type { TaskState } from "../../contract/tasks.ts";
import { fetchPages } from "../../coordinator-client/fetch-pages.ts";
import type { LocalCoordinator } from "../../coordinator-client/local/local-coordinator.ts";
import { openLocalCoordinator } from "../../coordinator-client/open-link.ts";
import { pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok } from "../../shared/result.ts";
import { sessions as sessionRows } from "../../store/session-tables.ts";
import type { HostContext } from "./handlers.ts";
import type { HostResult, Workspace } from "./host.ts";

/** Work that this machine has before it joins a workspace. */
export interface LocalWork {
  readonly isImported: boolean;
  /** Open tasks that have not started. */
  readonly tasks: readonly number[];
  /** Running tasks, which finish here in either case. */
  readonly running: number;
  readonly keys: number;
}

type Imported = MachineOutput<"workspace.join">["imported"];

const openStates: readonly TaskState[] = ["blocked", "scheduled", "queued", "assigned", "running"];
const maxTasks = 1_000;

async function withLocal<T>(context: HostContext, body: (local: LocalCoordinator) => T | Promise<T>): Promise<T> {
  const { coordinator, close } = openLocalCoordinator(await context.runtime());
  try {
    return await body(coordinator);
  } finally {
    close();
  }
}

/** [SY73] */
export async function chooseWork(
  context: HostContext,
  choice: "import" | "keep" | undefined,
): Promise<HostResult<LocalWork>> {
  const { store } = await context.runtime();
  const stored = store.read((sql) => sessionRows.count(sql), 0);
  return withLocal(context, async (local) => {
    const state = local.call("state.list", { prefix: "", limit: 500 });
    const listed = await Promise.all(openStates.map((one) => fetchPages(local, "tasks.list", { state: one })));
    const open = listed.flatMap((page) => (page.ok ? page.value.tasks : []));
    const waiting = open.filter((task) => task.state !== "running").map(({ task }) => task);
    const keys = state.ok ? state.value.entries.filter(({ key }) => !key.startsWith("$")).length : 0;
    const [sessions, schedules] = [stored, listSchedules(local).length];
    if (choice === undefined && sessions + open.length + schedules + keys > 0) {
      const more = schedules > 0 ? `, and ${pluralize(schedules, "schedule")}` : "";
      const message = `On this machine there are ${sessions} sessions, ${open.length} open tasks and ${keys} keys of state${more}. Choose: --import sends the sessions and submits the tasks that have not started, and the schedules; --keep leaves everything here, and nothing is lost. Nothing was changed.`;
      return err({ code: "choice_needed", message });
    }
    const tasks = waiting.toSorted((a, b) => a - b);
    if (choice !== "keep" && tasks.length > maxTasks) {
      const message = `at most ${maxTasks} open tasks can be imported, and there are ${tasks.length}; finish or cancel some first, or use --keep.`;
      return err({ code: "too_many_tasks", message });
    }
    return ok({ isImported: choice !== "keep", tasks, running: open.length - tasks.length, keys });
  });
}

/** Without those that have ended. */
function listSchedules(local: LocalCoordinator): Schedule[] {
  const listed = local.call("schedules.list", {});
  return listed.ok ? listed.value.schedules.filter(({ state }) => state !== "ended") : [];
}

/** [SY95] [SD18] Moves open tasks, all or none, then schedules; a repeat moves nothing twice. */
export async function moveWork(
  context: HostContext,
  link: Workspace,
  { isImported, tasks }: LocalWork,
): Promise<HostResult<Imported>> {
  if (!isImported) return ok({ tasks: 0, schedules: [], leftSchedules: [] });
  return withLocal(context, async (local) => {
    const health = local.call("health", {});
    const machine = link.machine.replaceAll(/[^\w.-]/g, "-").slice(0, 60);
    // The same for a repeated import of the same work.
    const prefix = `import.${machine}.${health.ok ? health.value.epoch : 0}`;
    const moved = await moveTasks(local, link, tasks, prefix);
    return moved.ok ? ok({ tasks: moved.value, ...(await moveSchedules(local, link, prefix)) }) : moved;
  });
}

async function moveTasks(
  local: LocalCoordinator,
  link: Workspace,
  tasks: readonly number[],
  prefix: string,
): Promise<HostResult<number>> {
  const found = tasks.flatMap((task) => {
    const one = local.call("tasks.get", { task });
    return one.ok ? [one.value] : [];
  });
  if (found.length === 0) return ok(0);
  const moved = new Set(found.map(({ task }) => task));
  const submitted = await link.call("tasks.submit", { tasks: found.map((task) => toNewTask(task, moved, prefix)) });
  if (!submitted.ok) return submitted;
  const reason = `moved to ${link.where}`.slice(0, 500);
  for (const { task } of found) local.call("tasks.cancel", { task, reason });
  return ok(found.length);
}

type NewTaskInput = CallInput<"tasks.submit">["tasks"][number];

/** Keeps dependencies on imported tasks only; custom time limits fall back to the defaults. */
function toNewTask(task: OutputOf<"tasks.get">, moved: ReadonlySet<number>, prefix: string): NewTaskInput {
  const { type, payload, priority, capabilities, tags, maxAttempts } = task;
  const parent = task.parent !== null && moved.has(task.parent) ? taskRef(task.parent) : undefined;
  return {
    type,
    payload,
    priority,
    capabilities,
    tags,
    maxAttempts,
    ref: taskRef(task.task),
    dedupeKey: `${prefix}.${task.task}`,
    dependsOn: task.dependsOn.filter((one) => moved.has(one)).map(taskRef),
    ...(task.state === "scheduled" ? { delayMs: task.dueInMs ?? 0 } : {}),
    ...omitUndefined({ parent, budget: task.budget ?? undefined, joinRule: task.joinRule ?? undefined }),
  };
}

function taskRef(task: number): string {
  return `local-${task}`;
}

/** Creates the schedules there, with what is left of their runs, and deletes them here. */
async function moveSchedules(
  local: LocalCoordinator,
  link: Workspace,
  prefix: string,
): Promise<Pick<Imported, "schedules" | "leftSchedules">> {
  const schedules: string[] = [];
  const leftSchedules: { name: string; reason: string }[] = [];
  for (const schedule of listSchedules(local)) {
    const { name } = schedule;
    const created = await createSchedule(local, link, schedule, prefix);
    if (created.ok) {
      local.call("schedules.delete", { name });
      schedules.push(name);
    } else leftSchedules.push({ name, reason: created.error.message });
  }
  return { schedules, leftSchedules };
}

async function createSchedule(
  local: LocalCoordinator,
  link: Workspace,
  { name, cron, timeZone, overlap, missed, endAt, maxRuns, runs, state }: Schedule,
  prefix: string,
): Promise<HostResult<unknown>> {
  const found = local.call("schedules.get", { name });
  if (!found.ok) return found;
  const created = await link.call("schedules.create", {
    name,
    cron,
    timeZone,
    task: found.value.task,
    overlap,
    missed,
    // A name may be as long as an id of a request.
    requestId: `${prefix}.schedule.${createHash("sha256").update(name).digest("hex").slice(0, 32)}`,
    ...omitUndefined({
      endAt: endAt ?? undefined,
      maxRuns: maxRuns === null ? undefined : Math.max(1, maxRuns - runs),
    }),
  });
  return created.ok && state === "paused" ? link.call("schedules.pause", { name }) : created;
}
