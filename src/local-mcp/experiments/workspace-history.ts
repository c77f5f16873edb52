import type { Chat } from "../../contract/chats.ts";
import type { CallInput, CallName, OutputOf } from "../../contract/operations.ts";
import type { TierCounts } from "../../contract/routes.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { fetchPages } from "../../coordinator-client/fetch-pages.ts";
import type {
  ChatLoad,
  ModelOutcomes,
  PastTask,
  TaskTypeHistory,
  TeamHistory,
} from "../../experiments/opportunities/history.ts";
import {
  departuresOf,
  maxPresenceEntries,
  queueChats,
  type PresenceLog,
} from "../../experiments/queue/presence-log.ts";
import type { QueueRecord, QueueTask } from "../../experiments/queue/run-queue.ts";
import type { WorkspaceCounts } from "../../experiments/guardrails.ts";
import type { HostResult } from "../../shared/host-result.ts";
import { ok } from "../../shared/result.ts";

/** Calls are billed on the edge: lists end after so many items, histories after so many tasks. */
const maxListed = 4_000;
const maxHistories = { opportunities: 300, record: 1_000 };
const parallel = 10;

/** The part of the host's workspace that is used here. */
export interface TrialLink {
  readonly machine: string;
  readonly isEdge: boolean;
  readonly call: <Name extends CallName>(name: Name, input: CallInput<Name>) => Promise<HostResult<OutputOf<Name>>>;
}

type Link = Pick<TrialLink, "call">;
type History = OutputOf<"tasks.history">;

/** Reads with the rights of an observer; the audit log, which needs more, where it may. */
export async function readTeam(link: Link, now: number): Promise<HostResult<TeamHistory>> {
  const settings = await link.call("settings.get", {});
  if (!settings.ok) return settings;
  const listed = await listChats(link);
  if (!listed.ok) return listed;
  const chats = listed.value;
  const load = await link.call("tasks.load", {});
  if (!load.ok) return load;
  const taskTypes = await readTaskTypes(link, chats, now);
  if (!taskTypes.ok) return taskTypes;
  const { balancingIntervalMs, chatTtlMs } = settings.value.settings;
  const done = new Map(load.value.chats.map(({ chatId, throughput }) => [chatId, throughput]));
  const log = await readPresenceLog(link);
  return ok({
    taskTypes: taskTypes.value,
    chats: chats.flatMap(({ chat, capacity }): ChatLoad[] => {
      const tasks = done.get(chat);
      return tasks === undefined ? [] : [{ capacity, tasks }];
    }),
    departures: log.ok ? departuresOf(log.value, now) : null,
    models: await readModels(link),
    balancingIntervalMs,
    chatTtlMs,
  });
}

async function listChats(link: Link): Promise<HostResult<readonly Chat[]>> {
  const listed = await fetchPages(link, "chats.list", {}, { max: maxListed });
  return listed.ok ? ok(listed.value.chats) : listed;
}

async function listTasks(link: Link): Promise<HostResult<readonly TaskLine[]>> {
  const listed = await fetchPages(link, "tasks.list", {}, { max: maxListed });
  return listed.ok ? ok(listed.value.tasks) : listed;
}

/** Reads those of the newest ended tasks, without those that were pruned meanwhile. */
async function readHistories<T>(
  link: Link,
  lines: readonly TaskLine[],
  max: number,
  read: (line: TaskLine, history: History) => T | null,
): Promise<T[]> {
  const ended = lines.filter(({ state }) => state === "done" || state === "dead").slice(-max);
  const found: T[] = [];
  for (let at = 0; at < ended.length; at += parallel) {
    const part = ended.slice(at, at + parallel).map(async (line) => {
      const history = await link.call("tasks.history", { task: line.task, limit: 100 });
      return history.ok ? read(line, history.value) : null;
    });
    found.push(...(await Promise.all(part)).flatMap((one) => one ?? []));
  }
  return found;
}

async function readTaskTypes(link: Link, chats: readonly Chat[], now: number): Promise<HostResult<TaskTypeHistory[]>> {
  const stats = await link.call("tasks.stats", {});
  if (!stats.ok) return stats;
  const lines = await listTasks(link);
  if (!lines.ok) return lines;
  const past = await readHistories(link, lines.value, maxHistories.opportunities, (line, history) => ({
    type: line.type,
    task: toPastTask(line, history, now),
  }));
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

function toPastTask({ ageMs, reason }: TaskLine, { attempts }: History, now: number): PastTask {
  const countEnds = (end: History["attempts"][number]["end"]): number =>
    attempts.filter((one) => one.end === end).length;
  return {
    at: now - Math.min(ageMs, ...attempts.map(({ endedAgeMs }) => endedAgeMs)),
    failed: countEnds("failed"),
    timeouts: countEnds("timeout"),
    stalls: countEnds("stalled"),
    isPoison: reason === "poison",
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
async function readModels(link: Link): Promise<ModelOutcomes[] | null> {
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

/** Needs the right to read the audit log. */
export async function readPresenceLog(link: Link): Promise<HostResult<PresenceLog>> {
  const gone = await link.call("audit.list", { kind: "chat.offline", limit: maxPresenceEntries });
  if (!gone.ok) return gone;
  const registered = await link.call("audit.list", { kind: "chat.registered", limit: maxPresenceEntries });
  if (!registered.ok) return registered;
  return ok({ gone: gone.value.entries, registered: registered.value.entries });
}

/**
 * The newest 1,000 ended tasks of the first 4,000 kept ones, and the chats meanwhile, in at most
 * 1,042 calls. Left out: tasks that never ran, have not ended or were cancelled, chats that the
 * workspace has forgotten, and, without the right to read the audit log, the times at which chats
 * came and went.
 */
export async function readQueueRecord(link: Link, chatTtlMs: number): Promise<HostResult<QueueRecord>> {
  const lines = await listTasks(link);
  if (!lines.ok) return lines;
  const tasks = await readHistories(link, lines.value, maxHistories.record, toQueueTask);
  const chats = await listChats(link);
  if (!chats.ok) return chats;
  const log = await readPresenceLog(link);
  const windowMs = Math.max(0, ...tasks.map(({ ageMs }) => ageMs));
  return ok({
    windowMs,
    tasks: tasks
      .toSorted((one, other) => other.ageMs - one.ageMs)
      .map(({ type, priority, failures, runMs, ageMs }) => ({
        type,
        priority,
        failures,
        runMs,
        atMs: windowMs - ageMs,
      })),
    chats: queueChats(chats.value, log.ok ? log.value : null, { windowMs, chatTtlMs }),
  });
}

type AgedTask = Omit<QueueTask, "atMs"> & { readonly ageMs: number };

/** Its age counts from the moment at which it could run first. @returns null: it never ran */
function toQueueTask({ type, priority }: TaskLine, { attempts }: History): AgedTask | null {
  const ran = attempts.filter(({ ranMs }) => ranMs !== null);
  const first = ran.toSorted((one, other) => other.endedAgeMs - one.endedAgeMs)[0];
  if (!first) return null;
  const failures = attempts.filter(({ end }) => end === "failed").length;
  // Attempts that another end cut short say less of the work.
  const whole = ran.filter(({ end }) => end === "done" || end === "failed");
  const times = (whole.length > 0 ? whole : ran).map(({ ranMs }) => ranMs ?? 0);
  const runMs = times.reduce((sum, one) => sum + one, 0) / times.length;
  return { type, priority, failures, runMs, ageMs: first.endedAgeMs + (first.ranMs ?? 0) + first.waitedMs };
}

/** Totals since the workspace's start. Two calls. */
export async function readCounts(link: Link): Promise<HostResult<WorkspaceCounts>> {
  const sampled = await link.call("metrics", {});
  if (!sampled.ok) return sampled;
  const budgets = await link.call("budgets.get", {});
  if (!budgets.ok) return budgets;
  const count = (name: string, label = "", values: readonly string[] = []): number =>
    sampled.value.samples
      .filter((one) => one.name === name && (label === "" || values.includes(one.labels[label] ?? "")))
      .reduce((sum, { value }) => sum + value, 0);
  const done = count("shim_task_ends_total", "outcome", ["done"]);
  const dead = count("shim_task_ends_total", "outcome", ["dead"]);
  return ok({
    ended: done + dead,
    dead,
    attempts: done + count("shim_task_attempts_total"),
    overdue: count("shim_task_attempts_total", "end", ["timeout", "stalled"]),
    isDaySpent: budgets.value.isDaySpent,
  });
}
