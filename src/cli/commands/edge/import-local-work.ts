import { hostname } from "node:os";
import type { NewTask } from "../../../contract/tasks.ts";
import type { OutputOf } from "../../../contract/operations.ts";
import type { TaskState } from "../../../contract/tasks.ts";
import { LocalCoordinator } from "../../../coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "../../../coordinator-client/local/local-store.ts";
import { fetchPages } from "../../../coordinator-client/fetch-pages.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { failed, type FailedResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import type { CoordinatorLink } from "../../coordinator-link.ts";
import { epochOf } from "../../../store/epoch.ts";
import type { Store } from "../../../store/store.ts";

export interface LocalWork {
  readonly sessions: number;
  readonly tasks: readonly number[];
  /** Running tasks, which finish here in either case. */
  readonly running: number;
  readonly keys: number;
}

const waitingStates: readonly TaskState[] = ["blocked", "scheduled", "queued", "assigned"];
const maxTasks = 1_000;

async function withLocal<T>(cli: Cli, body: (local: LocalCoordinator, store: Store) => T | Promise<T>): Promise<T> {
  const { runtime } = await cli.loaded();
  const { driver, busyMs } = runtime.store.context;
  const store = createLocalStore({ home: cli.paths.home, driver, now: cli.io.now, busyMs });
  try {
    const { processes } = runtime;
    return await body(new LocalCoordinator({ store, processes, machine: hostname(), now: cli.io.now }), store);
  } finally {
    store.close();
  }
}

export async function readLocalWork(cli: Cli): Promise<LocalWork> {
  const runtime = await cli.runtime();
  const [row] = runtime.store.read((sql) => sql.all<{ n: number }>("SELECT count(*) AS n FROM sessions"), []);
  return withLocal(cli, async (local) => {
    const keys = local.call("state.list", { prefix: "", limit: 500 });
    const waiting = await Promise.all(waitingStates.map((state) => listTasks(local, state)));
    return {
      sessions: row?.n ?? 0,
      tasks: waiting.flat().sort((a, b) => a - b),
      running: (await listTasks(local, "running")).length,
      keys: keys.ok ? keys.value.entries.filter(({ key }) => !key.startsWith("$")).length : 0,
    };
  });
}

async function listTasks(local: LocalCoordinator, state: TaskState): Promise<number[]> {
  const listed = await fetchPages({ maxPerPage: 200 }, "tasks", (page) =>
    Promise.resolve(local.call("tasks.list", { state, ...page })),
  );
  return listed.ok ? listed.value.tasks.map(({ task }) => task) : [];
}

/** [SY73] Submits the open tasks, all or none, and cancels them here; idempotent. */
export function moveTasks(
  cli: Cli,
  link: CoordinatorLink,
  { tasks }: LocalWork,
): Promise<Result<number, FailedResult["error"]>> {
  if (tasks.length > maxTasks)
    return Promise.resolve(
      failed(
        "too_many_tasks",
        `at most ${maxTasks} open tasks come along, and there are ${tasks.length}; do or cancel some first, or --keep.`,
      ),
    );
  return withLocal(cli, async (local, store) => {
    const found = tasks.flatMap((task) => {
      const one = local.call("tasks.get", { task });
      return one.ok ? [one.value] : [];
    });
    if (found.length === 0) return ok(0);
    const epoch = store.read(epochOf, 0);
    const moved = new Set(found.map(({ task }) => task));
    const submitted = await link.call("tasks.submit", {
      tasks: found.map((task) =>
        toNewTask(task, moved, `import.${link.machine.replaceAll(/[^\w.-]/g, "-").slice(0, 60)}.${epoch}`),
      ),
    });
    if (!submitted.ok) return submitted;
    const reason = `moved to ${link.where}`.slice(0, 500);
    for (const { task } of found) local.call("tasks.cancel", { task, reason });
    return ok(found.length);
  });
}

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

type NewTaskInput = Partial<NewTask> & Pick<NewTask, "type">;

function taskRef(task: number): string {
  return `local-${task}`;
}
