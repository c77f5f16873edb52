import type { Chat } from "../../../contract/chats.ts";
import type { TierCounts } from "../../../contract/routes.ts";
import type { TaskLine } from "../../../contract/task-views.ts";
import type { AuditEntry } from "../../../contract/workspaces.ts";
import type {
  ChatLoad,
  Departure,
  ModelOutcomes,
  PastTask,
  TaskTypeHistory,
  TeamHistory,
} from "../../../experiments/opportunities/history.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";

/** Calls are billed on the edge: lists end after so many pages, histories after so many tasks. */
const maxPages = 20;
const maxHistories = 300;
const parallel = 10;
const perPage = 200;
/** Longest silence that `chatTtlMs` can allow: no setting waits longer for a sleeping machine. */
export const backWithinMs = 600_000;
const maxEntries = 500;

type Caller = Pick<Workspace, "call">;

/** Reads with the rights of an observer; the audit log, which needs more, where it may. */
export async function readTeam(link: Caller, now: number): Promise<CliResult<TeamHistory>> {
  const settings = await link.call("settings.get", {});
  if (!settings.ok) return settings;
  const chats = await listChats(link);
  if (!chats.ok) return chats;
  const load = await link.call("tasks.load", {});
  if (!load.ok) return load;
  const taskTypes = await readTaskTypes(link, chats.value, now);
  if (!taskTypes.ok) return taskTypes;
  const { balancingIntervalMs, chatTtlMs } = settings.value.settings;
  const done = new Map(load.value.chats.map(({ chatId, throughput }) => [chatId, throughput]));
  return ok({
    taskTypes: taskTypes.value,
    chats: chats.value.flatMap(({ chat, capacity }): ChatLoad[] => {
      const tasks = done.get(chat);
      return tasks === undefined ? [] : [{ capacity, tasks }];
    }),
    departures: await readDepartures(link, now),
    models: await readModels(link),
    balancingIntervalMs,
    chatTtlMs,
  });
}

export async function listChats(link: Caller): Promise<CliResult<Chat[]>> {
  const chats: Chat[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < maxPages; page++) {
    const listed = await link.call("chats.list", omitUndefined({ limit: perPage, cursor }));
    if (!listed.ok) return listed;
    chats.push(...listed.value.chats);
    if (listed.value.cursor === null) break;
    cursor = listed.value.cursor;
  }
  return ok(chats);
}

async function readTaskTypes(link: Caller, chats: readonly Chat[], now: number): Promise<CliResult<TaskTypeHistory[]>> {
  const stats = await link.call("tasks.stats", {});
  if (!stats.ok) return stats;
  const lines = await listTasks(link);
  if (!lines.ok) return lines;
  const ended = lines.value.filter(({ state }) => state === "done" || state === "dead").slice(-maxHistories);
  const past: { readonly type: string; readonly task: PastTask }[] = [];
  for (let at = 0; at < ended.length; at += parallel) {
    const read = await Promise.all(ended.slice(at, at + parallel).map((line) => readTask(link, line, now)));
    past.push(...read.flatMap((one) => one ?? []));
  }
  return ok(
    stats.value.types.map(({ type, run, oldestQueuedMs }) => ({
      type,
      tasks: past.filter((one) => one.type === type).map(({ task }) => task),
      queued: lines.value
        .filter((line) => line.state === "queued" && line.type === type)
        // The age counts from the submission, before it was queued.
        .map(({ ageMs }) => ({ waitedMs: Math.min(ageMs, oldestQueuedMs ?? 0), idleChats: countIdle(chats, type) })),
      runP95Ms: run?.p95Ms ?? null,
    })),
  );
}

export async function listTasks(link: Caller): Promise<CliResult<TaskLine[]>> {
  const tasks: TaskLine[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < maxPages; page++) {
    const listed = await link.call("tasks.list", omitUndefined({ limit: perPage, cursor }));
    if (!listed.ok) return listed;
    tasks.push(...listed.value.tasks);
    if (listed.value.cursor === null) break;
    cursor = listed.value.cursor;
  }
  return ok(tasks);
}

/** @returns null if it was pruned meanwhile */
async function readTask(
  link: Caller,
  { task, type, ageMs, reason }: TaskLine,
  now: number,
): Promise<{ readonly type: string; readonly task: PastTask } | null> {
  const history = await link.call("tasks.history", { task });
  if (!history.ok) return null;
  const { attempts } = history.value;
  const countEnds = (end: (typeof attempts)[number]["end"]): number => attempts.filter((one) => one.end === end).length;
  return {
    type,
    task: {
      at: now - Math.min(ageMs, ...attempts.map(({ endedAgeMs }) => endedAgeMs)),
      failed: countEnds("failed"),
      timeouts: countEnds("timeout"),
      stalls: countEnds("stalled"),
      isPoison: reason === "poison",
    },
  };
}

/** A chat that polls does not say which types it takes. */
function countIdle(chats: readonly Chat[], type: string): number {
  return chats.filter(
    ({ status, capacity, taskCount, taskTypes }) =>
      (status === "idle" || status === "busy") &&
      capacity > taskCount &&
      taskTypes?.some((one) => one === "*" || one === type) === true,
  ).length;
}

const maxTypes = 20;

/** Models are compared among tasks that look alike. @returns null where no coordinator answers */
async function readModels(link: Caller): Promise<ModelOutcomes[] | null> {
  const known = await link.call("tasks.routes", {});
  if (!known.ok) return null;
  const outcomes: ModelOutcomes[] = [];
  for (const type of known.value.types.slice(0, maxTypes)) {
    const found = await link.call("tasks.routes", { type });
    if (found.ok) outcomes.push(...(found.value.routes?.tiers.flatMap((tier) => toOutcomes(type, tier)) ?? []));
  }
  return outcomes;
}

function toOutcomes(type: string, tier: TierCounts): ModelOutcomes[] {
  const { model, effort, band, tried, succeeded, meanCostMicros } = tier;
  if (meanCostMicros === null) return [];
  const name = effort === null ? model : `${model} (${effort})`;
  return [{ type: `${type}, ${band}`, model: name, tasks: tried, accepted: succeeded, costMicros: meanCostMicros }];
}

async function readDepartures(link: Caller, now: number): Promise<Departure[] | null> {
  const log = await readPresenceLog(link);
  if (log === null) return null;
  const { gone, registered } = log;
  // Whether older ones came back is not known.
  const oldestMs = registered.length < maxEntries ? Infinity : (registered.at(-1)?.ageMs ?? 0);
  return gone
    .filter((entry) => detailOf(entry)["reason"] === "timeout" && entry.ageMs < oldestMs && entry.ageMs >= backWithinMs)
    .map((entry) => ({ at: now - entry.ageMs, isBack: registered.some((one) => isReturn(one, entry)) }));
}

interface PresenceLog {
  readonly gone: readonly AuditEntry[];
  readonly registered: readonly AuditEntry[];
}

/** Newest first. @returns null if the token may not read the audit log */
export async function readPresenceLog(link: Caller): Promise<PresenceLog | null> {
  const gone = await link.call("audit.list", { kind: "chat.offline", limit: maxEntries });
  const registered = await link.call("audit.list", { kind: "chat.registered", limit: maxEntries });
  return gone.ok && registered.ok ? { gone: gone.value.entries, registered: registered.value.entries } : null;
}

/** A new process would have the next incarnation. */
function isReturn(registered: AuditEntry, gone: AuditEntry): boolean {
  return (
    registered.subject === gone.subject &&
    detailOf(registered)["incarnation"] === detailOf(gone)["incarnation"] &&
    registered.seq > gone.seq &&
    registered.ageMs >= gone.ageMs - backWithinMs
  );
}

export function detailOf({ detail }: AuditEntry): Readonly<Record<string, unknown>> {
  return typeof detail === "object" && detail !== null && !Array.isArray(detail) ? detail : {};
}
