import type { Progress, TaskState } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import type { Result } from "../../shared/result.ts";
import type { Trouble } from "../link/chat-link.ts";
import * as heldTasks from "./held-tasks.ts";
import type { HeldTask, Holder } from "./held-tasks.ts";
import type { Outbox } from "./outbox.ts";
import type { TaskHolder } from "./task-holder.ts";

/** What became of a report. */
export type Ended =
  | { readonly kind: "kept" }
  | { readonly kind: "answered"; readonly answer: Result<Answered, Trouble> };

interface Answered {
  readonly state?: TaskState;
  readonly isCancelled?: boolean;
  readonly reason?: string | null;
}

/**
 * How a chat's task goes and ends. [TE6] The task is out of the chat's hands in the transaction that keeps the report; the newest checkpoint goes
 * before it, so that the next attempt has it.
 */
export class Reports {
  readonly #of: Holder;
  readonly #outbox: Outbox;
  readonly #tasks: TaskHolder;

  constructor(of: Holder, outbox: Outbox, tasks: TaskHolder) {
    this.#of = of;
    this.#outbox = outbox;
    this.#tasks = tasks;
  }

  async progress(held: HeldTask, progress: Progress): Promise<Ended> {
    const sent = await this.#outbox.say("tasks.heartbeat", this.#beat(held, progress));
    return sent;
  }

  async done(held: HeldTask, result: Json): Promise<Ended> {
    const { task, claim } = held.task;
    return this.#outbox.say(
      "tasks.ack",
      { task, claim, result },
      (sql) => void heldTasks.drop(sql, this.#of, held.task),
    );
  }

  async failed(held: HeldTask, reason: string, isRetryable: boolean): Promise<Ended> {
    const { task, claim } = held.task;
    const beat = this.#beat(held, { note: reason });
    return this.#outbox.say("tasks.nack", { task, claim, reason, isRetryable }, (sql) => {
      heldTasks.drop(sql, this.#of, held.task);
      this.#outbox.keep(sql, "tasks.heartbeat", beat);
    });
  }

  #beat({ task: { task, claim } }: HeldTask, progress: Progress) {
    const checkpoint = this.#tasks.newestCheckpoint();
    return { task, claim, progress, ...(checkpoint === null ? {} : { checkpoint }) };
  }
}
