import { NewTask } from "../../contract/tasks.ts";
import type { QueueTask } from "./queue-record.ts";

export interface TaskHistory {
  readonly record: QueueTask;
  /** Epoch ms. */
  readonly submittedAt: number;
  firstStartAt: number | null;
  doneAt: number | null;
  failures: number;
}

const maxAttempts = 20;
const maxCloseMs = 7 * 86_400_000;

/** Starts, failures and results of the record's tasks, by their numbers in the run. */
export class TaskLedger {
  /** Tasks that have been submitted and are not done. */
  open = 0;
  readonly #byTask = new Map<number, TaskHistory>();

  submit(task: number, record: QueueTask, submittedAt: number): TaskHistory {
    const history = { record, submittedAt, firstStartAt: null, doneAt: null, failures: 0 };
    this.#byTask.set(task, history);
    this.open += 1;
    return history;
  }

  /** @returns ms that the attempt runs */
  start(task: number, at: number): number {
    const history = this.#get(task);
    history.firstStartAt ??= at;
    return Math.max(0, history.record.runMs);
  }

  mustFail(task: number): boolean {
    const { failures, record } = this.#get(task);
    return failures < record.failures;
  }

  fail(task: number): void {
    this.#get(task).failures += 1;
  }

  finish(task: number, at: number): void {
    this.#get(task).doneAt = at;
    this.open -= 1;
  }

  #get(task: number): TaskHistory {
    const history = this.#byTask.get(task);
    if (!history) throw new Error(`task ${task} was not submitted`);
    return history;
  }
}

/** Limits that the record does not have are wide: only lost chats and stalls make a task dead. */
export function toNewTask({ type, priority, runMs, failures }: QueueTask): NewTask {
  const task = NewTask.parse({ type, priority });
  const startToCloseMs = Math.min(maxCloseMs, Math.max(task.startToCloseMs, 2 * runMs));
  return { ...task, startToCloseMs, maxAttempts: Math.min(maxAttempts, Math.max(task.maxAttempts, failures + 1)) };
}
