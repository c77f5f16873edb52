import { createHash } from "node:crypto";
import { hostname } from "node:os";
import * as z from "zod";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import {
  isSameWorkspace,
  readEdgeConfig,
  writeEdgeConfig,
  type EdgeConfig,
  type EdgeWorkspace,
  nameOf,
} from "../../coordinator-client/edge-config.ts";
import { parseAddress, isMachineToken, readTokenClaim } from "../../coordinator-client/edge/address.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as devices from "../sync/device.ts";
import * as joinPreferences from "../sync/join-preferences.ts";
import { formatCode } from "../sync/workspace-key.ts";
import type { HostContext, HostResult, Workspace } from "./host.ts";
import { environmentConflict, lossText, onWorkspace } from "./membership.ts";
import { findKey, saveKey, type FoundKey } from "./workspace-keys.ts";
import { WireError } from "../../contract/wire-error.ts";
import { uuidv7 } from "../../shared/ids.ts";
import type { CallInput, OutputOf } from "../../contract/operations.ts";
import type { Schedule } from "../../contract/schedules.ts";
import type { TaskState } from "../../contract/tasks.ts";
import { fetchPages } from "../../coordinator-client/fetch-pages.ts";
import type { LocalCoordinator } from "../../coordinator-client/local/local-coordinator.ts";
import { openLocalCoordinator } from "../../coordinator-client/open-link.ts";
import { pluralize } from "../../shared/format.ts";
import * as meta from "../../store/meta.ts";
import { sessions as sessionRows } from "../../store/session-tables.ts";

type Joined = MachineOutput<"workspace.join">;

/** Until all is done the machine stays where it is: `edge.json` is written last. */
export async function joinWorkspace(
  context: HostContext,
  { token, key: code, sync, earlierWork, ...next }: CheckedMachineInput<"workspace.join">,
): Promise<HostResult<Joined>> {
  const refused = refuseChange(context, next);
  if (refused) return refused;
  if (token === undefined || !isMachineToken(token)) {
    const message = "the token of this machine is needed (shim_...): `shim join <workspace> --url <url> < token-file`.";
    return err({ code: "token_needed", message });
  }
  const { url, workspace } = next;
  const machine = readTokenClaim(token, "m") ?? hostname();
  const current = currentEdge(context);
  const kept = current && isSameWorkspace(current, next) ? omitUndefined({ adminToken: current.adminToken }) : {};
  const edge: EdgeConfig = { url, workspace, machine, token, ...kept };
  return onWorkspace(context, edge, async (link) => {
    const health = await link.call("health", {});
    if (!health.ok) return health;
    const status = sync ? await link.call("sync.status", {}) : null;
    if (status?.ok === false) return status;
    const key = status ? findKey(context, edge, code, status.value.keyId) : ok(null);
    if (!key.ok) return key;
    const work = await chooseWork(context, earlierWork);
    if (!work.ok) return work;
    // The key must be on the disk before anything is sealed under it.
    const saved = key.value ? await saveKey(context, edge, link, key.value) : ok(undefined);
    return saved.ok ? completeJoin(context, { edge, link, key: key.value, work: work.value }) : saved;
  });
}

/** [EM3] Two authorities are never mixed: the old one keeps its data. */
function refuseChange(
  context: HostContext,
  { url, workspace, replace }: EdgeWorkspace & { readonly replace: boolean },
): HostResult<never> | null {
  const elsewhere = environmentConflict(context);
  if (elsewhere) return elsewhere;
  const address = parseAddress(url, workspace);
  if (!address.ok) return err({ code: "bad_input", message: `${address.error}.` });
  const current = currentEdge(context);
  if (replace || !current || isSameWorkspace(current, { url, workspace })) return null;
  const message = `This machine belongs to ${current.url}, workspace ${current.workspace}. Leave it for ${url}, workspace ${workspace}? What is stored there stays there.${lossText(current)}`;
  return err({ code: "other_workspace", message });
}

/** The workspace of the file; null also where the file cannot be used. */
function currentEdge({ paths }: HostContext): EdgeConfig | null {
  const current = readEdgeConfig(paths.home);
  return current.ok ? current.value : null;
}

interface Joining {
  readonly edge: EdgeConfig;
  readonly link: Workspace;
  /** [SY94] Key of what is synced; null: the user wants no sync. */
  readonly key: FoundKey | null;
  readonly work: LocalWork;
}

/** Preferences are stored before any send. */
async function completeJoin(context: HostContext, joining: Joining): Promise<HostResult<Joined>> {
  const { edge, link, key, work } = joining;
  const imported = await moveWork(context, link, work);
  if (!imported.ok) return imported;
  const runtime = await context.runtime();
  const current = currentEdge(context);
  const isMoving = current !== null && !isSameWorkspace(current, edge);
  runtime.store.write((sql) => beginSync(sql, runtime, joining, isMoving));
  writeEdgeConfig(context.paths.home, edge);
  const { url, workspace, machine } = edge;
  return ok({
    workspace,
    url,
    machine,
    keyId: key && key.key.id,
    key: key?.isNew ? formatCode(key.key) : null,
    imported: imported.value,
    kept: { runningTasks: work.running, keys: work.keys },
  });
}

/**
 * [SY61] A repeated join keeps the device's numbers.
 *
 * @param isMoving from another coordinator, where a workspace may have the same name
 */
function beginSync(sql: Sql, { now, random }: Runtime, { edge, key, work }: Joining, isMoving: boolean): void {
  const { workspace } = edge;
  const device = devices.get(sql);
  const known = device?.workspace === workspace && !isMoving ? device : null;
  const since = work.isImported ? 0 : (known?.joinedAt ?? now());
  joinPreferences.write(sql, { workspace, isSynced: key !== null, since });
  if (!key) devices.leave(sql);
  else if (!known) devices.join(sql, workspace, devices.newId(now(), random), since);
  else if (work.isImported) devices.sendAll(sql);
}

/** [CL32] A repeat continues under the same ids of requests. */
export async function createWorkspace(
  context: HostContext,
  { secret, earlierWork, ...next }: CheckedMachineInput<"workspace.create">,
): Promise<HostResult<MachineOutput<"workspace.create">>> {
  const refused = refuseChange(context, next);
  if (refused) return refused;
  if (secret === undefined) {
    const message =
      "making a workspace needs the secret of the deployment in SHIM_ADMIN_SECRET (`npm run deploy` has shown it; `npm run dev` keeps it in .dev.vars).";
    return err({ code: "secret_needed", message });
  }
  const key = findKey(context, next, undefined, null);
  if (!key.ok) return key;
  const work = await chooseWork(context, earlierWork);
  if (!work.ok) return work;
  const runtime = await context.runtime();
  const finish = (): void => void runtime.store.write((sql) => meta.remove(sql, requestKey(next)));
  const requestId = startRequest(runtime, next);
  const adminToken = await firstToken(next, secret, requestId);
  if (!adminToken.ok) {
    if (adminToken.error.code === "workspace_exists") finish();
    return adminToken;
  }
  const { url, workspace } = next;
  const admin = { url, workspace, machine: hostname(), token: adminToken.value };
  const token = await onWorkspace(context, admin, async (link) => {
    // Before any machine has a token: none can be first with another key.
    const saved = await saveKey(context, next, link, key.value);
    return saved.ok ? machineToken(link, requestId) : saved;
  });
  if (!token.ok) return token;
  const edge = { ...admin, token: token.value, adminToken: adminToken.value };
  const found = { ...key.value, isNew: true };
  const joined = await onWorkspace(context, edge, (link) =>
    completeJoin(context, { edge, link, key: found, work: work.value }),
  );
  if (joined.ok) finish();
  return joined;
}

/** The machine may have another name by the next try. */
async function machineToken({ call, machine }: Workspace, requestId: string): Promise<HostResult<string>> {
  const named = `${requestId}:${machine.replaceAll(/[^\w.-]/g, "-").slice(0, 80)}`;
  const created = await call("tokens.create", { machine, requestId: named });
  return created.ok ? ok(created.value.token) : created;
}

const Created = z.object({ token: z.string() });
const NotCreated = z.object({ error: WireError });

async function firstToken(
  { url, workspace }: EdgeWorkspace,
  secret: string,
  requestId: string,
): Promise<HostResult<string>> {
  const answer = await fetch(`${url.replace(/(?<!\/)\/+$/, "")}/v1/workspaces`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify({ workspace, requestId }),
    redirect: "error",
    signal: AbortSignal.timeout(15_000),
  }).catch(() => null);
  const body: unknown = await answer?.json().catch(() => null);
  const created = Created.safeParse(body);
  if (created.success) return ok(created.data.token);
  const refused = NotCreated.safeParse(body);
  if (refused.success) {
    const { code, message } = refused.data.error;
    const isWrongSecret = code === "unauthenticated";
    return err({
      code,
      message: isWrongSecret ? "SHIM_ADMIN_SECRET is not the secret of this deployment." : `${message}.`,
    });
  }
  const message = answer
    ? `${url} answered ${answer.status}, and is not a coordinator.`
    : `${url} does not answer. Is the coordinator running (\`npm run dev\`)?`;
  return err({ code: "edge_unreachable", message });
}

/** [CL32] With the deployment's secret, the id of a request is worth the workspace's token. */
function requestKey(edge: EdgeWorkspace): string {
  return `workspace_request:${nameOf(edge)}`;
}

/** Reuses the id of an earlier request for the workspace; stored before it is sent. */
function startRequest({ store, now, random }: Runtime, edge: EdgeWorkspace): string {
  const newId = uuidv7(now(), random(16));
  return store.write((sql) => {
    const requestId = meta.read(sql, requestKey(edge)) ?? newId;
    meta.write(sql, requestKey(edge), requestId);
    return requestId;
  });
}

/** Work that this machine has before it joins a workspace. */
interface LocalWork {
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

async function chooseWork(context: HostContext, choice: "import" | "keep" | undefined): Promise<HostResult<LocalWork>> {
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

function listSchedules(local: LocalCoordinator): Schedule[] {
  const listed = local.call("schedules.list", {});
  return listed.ok ? listed.value.schedules : [];
}

/** [SY95] [SD18] Moves open tasks, all or none, then schedules; a repeat moves nothing twice. */
async function moveWork(
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

/** Creates the schedules there, and deletes them here. */
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
  { name, cron, timeZone, overlap, state }: Schedule,
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
    // A name may be as long as an id of a request.
    requestId: `${prefix}.schedule.${createHash("sha256").update(name).digest("hex").slice(0, 32)}`,
  });
  return created.ok && state === "paused" ? link.call("schedules.pause", { name }) : created;
}
