import { sum } from "simple-statistics";
import type { Settings } from "../../contract/workspaces.ts";
import type { Hint } from "../../coordination/kernel/tx.ts";
import type { Sql } from "../../shared/sql.ts";
import { Agenda } from "./agenda.ts";
import type { QueueRecord, QueueTask } from "./queue-record.ts";
import { TaskLedger, toNewTask, type TaskHistory } from "./task-ledger.ts";
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

/** Time after the record's end in which open tasks may still end. */
const runOnMs = 86_400_000;

/**
 * Runs the shipped engine on the record's queue under these settings.
 *
 * @param sql an empty database of its own
 */
export function runQueue(sql: Sql, record: QueueRecord, settings: Partial<Settings>): QueueRun {
  const agenda = new Agenda();
  const ledger = new TaskLedger();
  const chats = new Map<string, VirtualChat>();
  const lastSeen = (chat: string): number | null => chats.get(chat)?.lastSeen() ?? null;
  const host = new VirtualHost(sql, settings, { lastSeen });
  for (const [index, chat] of record.chats.entries()) {
    const id = `chat-${index}`;
    const virtual = new VirtualChat(id, chat, { host, agenda, ledger });
    chats.set(id, virtual);
    virtual.schedule(toTime);
  }
  const histories: TaskHistory[] = [];
  for (const task of inOrder(record.tasks)) {
    agenda.add(toTime(task.atMs), () => void histories.push(submit(host, ledger, task)));
  }
  runAll({ host, agenda, ledger, chats }, record);
  return {
    tasks: histories.map(toTaskRun),
    deadTasks: totalOf(host, "shim_task_ends_total", (label) => label === "dead"),
    falseDepartures: sum([...chats.values()].map((chat) => chat.falseDepartures)),
    redeliveries: totalOf(host, "shim_task_attempts_total", (label) => label !== "failed"),
    operations: host.operations,
  };
}

function toTime(ms: number): number {
  return startAt + Math.round(ms);
}

function inOrder(tasks: readonly QueueTask[]): QueueTask[] {
  return tasks.toSorted((a, b) => a.atMs - b.atMs);
}

function submit(host: VirtualHost, ledger: TaskLedger, task: QueueTask): TaskHistory {
  const submitted = host.call("tasks.submit", { tasks: [toNewTask(task)] });
  if (!submitted.ok) throw new Error(submitted.error.message);
  const [{ task: number } = { task: 0 }] = submitted.value.tasks;
  return ledger.submit(number, task, host.now);
}

interface Running {
  readonly host: VirtualHost;
  readonly agenda: Agenda;
  readonly ledger: TaskLedger;
  readonly chats: ReadonlyMap<string, VirtualChat>;
}

function runAll(running: Running, { windowMs, tasks }: QueueRecord): void {
  const { host, agenda, ledger } = running;
  const end = startAt + windowMs;
  const last = end + runOnMs + tasks.reduce((longest, { runMs }) => Math.max(longest, runMs), 0);
  for (;;) {
    const [next, alarm] = [agenda.nextAt ?? Infinity, host.alarmAt ?? Infinity];
    const at = Math.min(next, alarm);
    if (at > (ledger.open === 0 ? end : last)) return;
    host.now = Math.max(host.now, at);
    // At one instant chats and tasks come before the alarm.
    if (next <= alarm) agenda.runNext();
    else host.ring();
    passHints(running);
  }
}

function passHints({ host, chats }: Running): void {
  for (let hints = host.takeHints(); hints.length > 0; hints = host.takeHints()) {
    for (const hint of hints) onHint(host, chats, hint);
  }
}

function onHint(host: VirtualHost, chats: ReadonlyMap<string, VirtualChat>, hint: Hint): void {
  if (hint.kind === "dispatch") host.dispatch();
  if (hint.kind === "task") chats.get(hint.chat)?.onTaskHint();
  if (hint.kind === "offline") chats.get(hint.chat)?.onOffline();
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
  return sum(
    host
      .totals(name)
      .filter(({ label }) => isCounted(label))
      .map(({ value }) => value),
  );
}
