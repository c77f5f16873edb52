import type { CallError } from "../../contract/errors.ts";
import type { Usage } from "../../contract/budgets.ts";
import type { Progress, TaskState } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import type { Result } from "../../shared/result.ts";
import * as heldTasks from "./held-tasks.ts";
import type { HeldTask, TaskScope } from "./held-tasks.ts";
import type { Outbox } from "./outbox.ts";
import type { ClaimKeeper } from "./claim-keeper.ts";

export type ReportResult =
  | { readonly kind: "kept" }
  | { readonly kind: "answered"; readonly answer: Result<ReportAnswer, CallError> };

interface ReportAnswer {
  readonly state?: TaskState;
  readonly isCancelled?: boolean;
  readonly reason?: string | null;
}

/** [TE6] One transaction keeps the report and removes the task from the chat. */
export class TaskReports {
  readonly #scope: TaskScope;
  readonly #outbox: Outbox;
  readonly #tasks: ClaimKeeper;

  constructor(scope: TaskScope, outbox: Outbox, tasks: ClaimKeeper) {
    this.#scope = scope;
    this.#outbox = outbox;
    this.#tasks = tasks;
  }

  async progress(held: HeldTask, progress: Progress): Promise<ReportResult> {
    const result = await this.#outbox.call("tasks.heartbeat", this.#heartbeatInput(held, progress));
    return result;
  }

  async complete(held: HeldTask, result: Json): Promise<ReportResult> {
    const { task, claim } = held.task;
    return this.#outbox.call(
      "tasks.ack",
      { task, claim, result, ...this.#usageField(held) },
      (sql) => void heldTasks.remove(sql, this.#scope, held.task),
    );
  }

  async fail(held: HeldTask, reason: string, isRetryable: boolean): Promise<ReportResult> {
    const { task, claim } = held.task;
    const heartbeat = this.#heartbeatInput(held, { note: reason });
    return this.#outbox.call("tasks.nack", { task, claim, reason, isRetryable, ...this.#usageField(held) }, (sql) => {
      heldTasks.remove(sql, this.#scope, held.task);
      this.#outbox.enqueue(sql, "tasks.heartbeat", heartbeat);
    });
  }

  #heartbeatInput(held: HeldTask, progress: Progress) {
    const { task, claim } = held.task;
    const checkpoint = this.#tasks.newestCheckpoint();
    return { task, claim, progress, ...(checkpoint === null ? {} : { checkpoint }), ...this.#usageField(held) };
  }

  #usageField(held: HeldTask): { usage?: Usage } {
    const usage = this.#tasks.usageOf(held);
    return usage ? { usage } : {};
  }
}
