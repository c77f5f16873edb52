import { pluralize } from "../../../shared/format.ts";
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { ok } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import {
  isSameWorkspace,
  readEdgeConfig,
  writeEdgeConfig,
  type EdgeConfig,
  type EdgeWorkspace,
} from "../../../coordinator-client/edge-config.ts";
import * as joinPreferences from "../../../local-mcp/sync/join-preferences.ts";
import * as devices from "../../../local-mcp/sync/device.ts";
import { formatCode } from "../../../local-mcp/sync/workspace-key.ts";
import { failed, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { listSchedules, moveSchedules, type MovedSchedules } from "./move-schedules.ts";
import { keyText, edgeVisibilityText, type FoundKey } from "./workspace-key-input.ts";
import type { NewTask, TaskState } from "../../../contract/tasks.ts";
import type { OutputOf } from "../../../contract/operations.ts";
import { LocalCoordinator } from "../../../coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "../../../coordinator-client/local/local-store.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { fetchPages } from "../../../coordinator-client/fetch-pages.ts";
import { epochOf } from "../../../store/meta.ts";
import type { Store } from "../../../store/store.ts";

interface JoinPlan {
  readonly edge: EdgeConfig;
  readonly link: Workspace;
  readonly found: FoundKey | null;
  readonly work: LocalWork;
  readonly isImporting: boolean;
  /** [SY94] False: the user wants no sync, even with a key. */
  readonly isSynced: boolean;
  /** True: it belonged to another coordinator, where a workspace may have the same name. */
  readonly isMoving: boolean;
}

export function isMoving({ paths }: Cli, to: EdgeWorkspace): boolean {
  const old = readEdgeConfig(paths.home);
  return old.ok && old.value !== null && !isSameWorkspace(old.value, to);
}

interface LocalChoice {
  readonly import?: boolean;
  readonly keep?: boolean;
}

export async function chooseLocalWork(cli: Cli, options: LocalChoice, work: LocalWork): Promise<CliResult<boolean>> {
  if (options.import && options.keep) return wrongUsage("give --import or --keep, not both.");
  if (options.import || options.keep) return ok(options.import === true);
  const description = describeWork(work);
  if (description === null) return ok(true);
  const joinPreferences =
    "--import sends the sessions and submits the tasks that have not started, and the schedules; --keep leaves everything here, and nothing is lost";
  if (!cli.io.isInteractive)
    return failed("choice_needed", `${description} Choose: ${joinPreferences}. Nothing was changed.`);
  const reply = (await cli.io.ask(`${description}\n${joinPreferences}. import or keep? `)).trim().toLowerCase();
  if (reply === "import" || reply === "keep") return ok(reply === "import");
  return failed("not_confirmed", "nothing was changed.");
}

/** Returns null where there is none. */
function describeWork({ sessions, tasks, schedules, keys, running }: LocalWork): string | null {
  if (sessions + tasks.length + schedules + keys + running === 0) return null;
  const more = schedules > 0 ? `, and ${pluralize(schedules, "schedule")}` : "";
  return `On this machine there are ${sessions} sessions, ${tasks.length + running} open tasks and ${keys} keys of state${more}.`;
}

export async function completeJoin(cli: Cli, joining: JoinPlan): Promise<CommandResult> {
  const { link, work, isImporting } = joining;
  const tasks = isImporting ? await moveTasks(cli, link, work) : ok(0);
  if (!tasks.ok) return tasks;
  const schedules = isImporting ? await moveLocalSchedules(cli, link) : { moved: [], left: [] };
  await storeMembership(cli, joining);
  return ok(toAnswer(joining, { tasks: tasks.value, schedules }));
}

/** [SY61] A repeated join keeps the device's numbers. Preferences are stored before any send. */
async function storeMembership(cli: Cli, joining: JoinPlan): Promise<void> {
  const { store } = await cli.runtime();
  store.write((sql) => beginSync(sql, joining, cli.io.now()));
  writeEdgeConfig(cli.paths.home, joining.edge);
}

function beginSync(sql: Sql, joining: JoinPlan, now: number): void {
  const { found, isImporting, isSynced } = joining;
  const { workspace } = joining.edge;
  const known = knownDevice(sql, joining);
  const since = isImporting ? 0 : (known?.joinedAt ?? now);
  joinPreferences.write(sql, { workspace, isSynced, since });
  if (!isSynced) return devices.leave(sql);
  if (!found) return;
  if (!known) devices.join(sql, workspace, devices.newId(now, randomBytes), since);
  else if (isImporting) devices.sendAll(sql);
}

function knownDevice(sql: Sql, { edge, isMoving: moves }: JoinPlan): devices.Device | null {
  const device = devices.get(sql);
  return device?.workspace === edge.workspace && !moves ? device : null;
}

interface MovedWork {
  readonly tasks: number;
  readonly schedules: MovedSchedules;
}

function toAnswer(joining: JoinPlan, imported: MovedWork): { data: unknown; text: string } {
  const { tasks, schedules } = imported;
  const { edge, found } = joining;
  const { workspace, url, machine } = edge;
  const data = {
    workspace,
    url,
    machine,
    keyId: found?.key.id ?? null,
    importedTasks: tasks,
    importedSchedules: schedules.moved,
  };
  const text = `This machine has joined ${workspace} as ${machine}.\n${localText(joining, imported)}`;
  if (!found) return { data, text: `${text}Nothing is synced: this machine only coordinates.\n` };
  const hint = "`shim join sync` sends the local sessions now; open chats do it automatically.\n";
  if (!found.isNew) return { data, text: text + edgeVisibilityText + hint };
  return { data: { ...data, key: formatCode(found.key) }, text: text + edgeVisibilityText + keyText(found.key) + hint };
}

function localText({ work, isImporting }: JoinPlan, { tasks, schedules }: MovedWork): string {
  if (!isImporting) return "";
  const lines = [
    tasks > 0 ? [`${tasks} open tasks were submitted there, and cancelled here.`] : [],
    schedules.moved.length > 0 ? [`${pluralize(schedules.moved.length, "schedule")} moved there.`] : [],
    schedules.left.map(({ name, reason }) => `The schedule ${name} stays here, without times: ${reason}`),
    work.running > 0 ? [`${work.running} running tasks continue here.`] : [],
    work.keys > 0 ? ["State and messages of this machine stay in its own file."] : [],
  ];
  return lines
    .flat()
    .map((line) => `${line}\n`)
    .join("");
}

interface LocalWork {
  readonly sessions: number;
  readonly tasks: readonly number[];
  /** Running tasks, which finish here in either case. */
  readonly running: number;
  readonly keys: number;
  readonly schedules: number;
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
    const running = await listTasks(local, "running");
    return {
      sessions: row?.n ?? 0,
      tasks: waiting.flat().toSorted((a, b) => a - b),
      running: running.length,
      schedules: listSchedules(local).length,
      keys: keys.ok ? keys.value.entries.filter(({ key }) => !key.startsWith("$")).length : 0,
    };
  });
}

async function listTasks(local: LocalCoordinator, state: TaskState): Promise<number[]> {
  const listed = await fetchPages(local, "tasks.list", { state });
  return listed.ok ? listed.value.tasks.map(({ task }) => task) : [];
}

/** [SY73] Submits the open tasks, all or none, and cancels them here; idempotent. */
function moveTasks(cli: Cli, link: Workspace, { tasks }: LocalWork): Promise<CliResult<number>> {
  if (tasks.length > maxTasks)
    return Promise.resolve(
      failed(
        "too_many_tasks",
        `at most ${maxTasks} open tasks can be imported, and there are ${tasks.length}; finish or cancel some first, or use --keep.`,
      ),
    );
  return withLocal(cli, async (local, store) => {
    const found = tasks.flatMap((task) => {
      const one = local.call("tasks.get", { task });
      return one.ok ? [one.value] : [];
    });
    if (found.length === 0) return ok(0);
    const prefix = importPrefix(link, store);
    const moved = new Set(found.map(({ task }) => task));
    const submitted = await link.call("tasks.submit", {
      tasks: found.map((task) => toNewTask(task, moved, prefix)),
    });
    if (!submitted.ok) return submitted;
    const reason = `moved to ${link.where}`.slice(0, 500);
    for (const { task } of found) local.call("tasks.cancel", { task, reason });
    return ok(found.length);
  });
}

function moveLocalSchedules(cli: Cli, link: Workspace): Promise<MovedSchedules> {
  return withLocal(cli, (local, store) => moveSchedules(local, link, importPrefix(link, store)));
}

/** The same for a repeated import of the same work. */
function importPrefix({ machine }: Workspace, store: Store): string {
  return `import.${machine.replaceAll(/[^\w.-]/g, "-").slice(0, 60)}.${store.read(epochOf, 0)}`;
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
