import { sum } from "simple-statistics";
import { NewTask } from "../../contract/tasks.ts";
import type { Settings } from "../../contract/workspaces.ts";
import type { Hint } from "../../coordination/kernel/tx.ts";
import type { Sql } from "../../shared/sql.ts";
import type { QueueRecord, QueueTask } from "./queue-record.ts";
import { VirtualChat } from "./virtual-chat.ts";
import { startAt, VirtualHost } from "./virtual-host.ts";

/** Times in ms since the record's start. */
export interface TaskRun {
  readonly atMs: number;
  /** From the submit to the first start; null: no chat ever started it. */
  readonly waitMs: number | null;
  /** From the submit to the result, without the record's running times; null: no result. */
  readonly delayMs: number | null;
  /** When its result came; of a task without one, when it was started first, or submitted. */
  readonly endMs: number;
}

export interface QueueRun {
  /** In the order of their submits. */
  readonly tasks: readonly TaskRun[];
  readonly deadTasks: number;
  readonly falseDepartures: number;
  readonly redeliveries: number;
  readonly operations: number;
}

/** A task of the record in a run. */
export interface TaskHistory {
  readonly record: QueueTask;
  /** Epoch ms. */
  readonly submittedAt: number;
  firstStartAt: number | null;
  doneAt: number | null;
  failures: number;
}

/** Time after the record's end in which open tasks may still end. */
const runOnMs = 86_400_000;

/**
 * Runs the shipped engine on the record's queue under these settings.
 *
 * @param sql an empty database of its own
 */
export function runQueue(sql: Sql, record: QueueRecord, settings: Partial<Settings>): QueueRun {
  const chats = new Map<string, VirtualChat>();
  const lastSeen = (chat: string): number | null => chats.get(chat)?.lastSeen() ?? null;
  const host = new VirtualHost(sql, settings, { lastSeen });
  const tasks = new Map<number, TaskHistory>();
  for (const [index, chat] of record.chats.entries()) {
    const id = `chat-${index}`;
    const virtual = new VirtualChat(id, chat, { host, tasks });
    chats.set(id, virtual);
    virtual.schedule(toTime);
  }
  for (const task of record.tasks.toSorted((a, b) => a.atMs - b.atMs))
    host.at(toTime(task.atMs), () => submit(host, tasks, task));
  const onHint = (hint: Hint): void => {
    if (hint.kind === "dispatch") host.dispatch();
    if (hint.kind === "task") chats.get(hint.chat)?.onTaskHint();
    if (hint.kind === "offline") chats.get(hint.chat)?.onOffline();
  };
  const end = startAt + record.windowMs;
  const last = end + runOnMs + record.tasks.reduce((longest, { runMs }) => Math.max(longest, runMs), 0);
  const isOpen = (): boolean => tasks.size < record.tasks.length || [...tasks.values()].some(isUndone);
  while (host.nextAt <= end || (host.nextAt <= last && isOpen())) {
    host.runNext();
    for (let hints = host.takeHints(); hints.length > 0; hints = host.takeHints()) hints.forEach(onHint);
  }
  return {
    tasks: [...tasks.values()].map(toTaskRun),
    deadTasks: totalOf(host, "shim_task_ends_total", (label) => label === "dead"),
    falseDepartures: sum([...chats.values()].map((chat) => chat.falseDepartures)),
    redeliveries: totalOf(host, "shim_task_attempts_total", (label) => label !== "failed"),
    operations: host.operations,
  };
}

function toTime(ms: number): number {
  return startAt + Math.round(ms);
}

function isUndone({ doneAt }: TaskHistory): boolean {
  return doneAt === null;
}

function submit(host: VirtualHost, tasks: Map<number, TaskHistory>, record: QueueTask): void {
  const submitted = host.call("tasks.submit", { tasks: [toNewTask(record)] });
  if (!submitted.ok) throw new Error(submitted.error.message);
  const [{ task } = { task: 0 }] = submitted.value.tasks;
  tasks.set(task, { record, submittedAt: host.now, firstStartAt: null, doneAt: null, failures: 0 });
}

const maxAttempts = 20;
const maxCloseMs = 7 * 86_400_000;

/** Limits that the record does not have are wide: only lost chats and stalls make a task dead. */
function toNewTask({ type, priority, runMs, failures }: QueueTask): NewTask {
  const task = NewTask.parse({ type, priority });
  const startToCloseMs = Math.min(maxCloseMs, Math.max(task.startToCloseMs, 2 * runMs));
  return { ...task, startToCloseMs, maxAttempts: Math.min(maxAttempts, Math.max(task.maxAttempts, failures + 1)) };
}

function toTaskRun({ record, submittedAt, firstStartAt, doneAt }: TaskHistory): TaskRun {
  const workMs = Math.max(0, record.runMs) * (1 + record.failures);
  return {
    atMs: submittedAt - startAt,
    waitMs: firstStartAt === null ? null : firstStartAt - submittedAt,
    delayMs: doneAt === null ? null : Math.max(0, doneAt - submittedAt - workMs),
    endMs: (doneAt ?? firstStartAt ?? submittedAt) - startAt,
  };
}

function totalOf(
  host: VirtualHost,
  name: Parameters<VirtualHost["totals"]>[0],
  isCounted: (label: string) => boolean,
): number {
  const counted = host.totals(name).filter(({ label }) => isCounted(label));
  return sum(counted.map(({ value }) => value));
}
