import type { Usage } from "../../contract/budgets.ts";
import type { Progress, TaskState } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import type { Result } from "../../shared/result.ts";
import type { Trouble } from "../link/chat-link.ts";
import * as heldTasks from "./held-tasks.ts";
import type { HeldTask, Holder } from "./held-tasks.ts";
import type { Outbox } from "./outbox.ts";
import type { TaskHolder } from "./task-holder.ts";

/** The result of a report. */
export type Ended =
  | { readonly kind: "kept" }
  | { readonly kind: "answered"; readonly answer: Result<Answered, Trouble> };

interface Answered {
  readonly state?: TaskState;
  readonly isCancelled?: boolean;
  readonly reason?: string | null;
}

/**
 * Reports of a chat on its tasks. [TE6] The transaction that keeps the report also takes the task from the chat; the newest checkpoint is sent
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
      { task, claim, result, ...this.#used(held) },
      (sql) => void heldTasks.drop(sql, this.#of, held.task),
    );
  }

  async failed(held: HeldTask, reason: string, isRetryable: boolean): Promise<Ended> {
    const { task, claim } = held.task;
    const beat = this.#beat(held, { note: reason });
    return this.#outbox.say("tasks.nack", { task, claim, reason, isRetryable, ...this.#used(held) }, (sql) => {
      heldTasks.drop(sql, this.#of, held.task);
      this.#outbox.keep(sql, "tasks.heartbeat", beat);
    });
  }

  #beat(held: HeldTask, progress: Progress) {
    const { task, claim } = held.task;
    const checkpoint = this.#tasks.newestCheckpoint();
    return { task, claim, progress, ...(checkpoint === null ? {} : { checkpoint }), ...this.#used(held) };
  }

  #used(held: HeldTask): { usage?: Usage } {
    const usage = this.#tasks.usageOf(held);
    return usage ? { usage } : {};
  }
}
