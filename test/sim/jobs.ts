import type { Rng } from "./rng.ts";
import type { TotalQueue } from "./oracle/total-queue.ts";
import type { TaskLedger } from "./oracle/task-ledger.ts";

/** What clients know of each other's tasks, as if they had talked about it; and the book of what was submitted, received and done. */
export class Jobs {
  readonly #queue: TotalQueue;
  readonly #ledger: TaskLedger;

  constructor(queue: TotalQueue, ledger: TaskLedger) {
    this.#queue = queue;
    this.#ledger = ledger;
  }

  newJob(isNamed: boolean): number {
    return this.#queue.newJob(isNamed);
  }

  accepted(job: number, task: number): void {
    this.#queue.accepted(job, task);
  }

  received(job: number, task: number, claim: number): void {
    this.#queue.received(job, task, claim);
  }

  counted(task: number, claim: number): void {
    this.#queue.counted(task, claim);
  }

  /** Tasks that have not ended. */
  open(): number {
    return this.#ledger.countOpen;
  }

  /** Some task, mostly a new one; null: there is none. */
  some(rng: Rng): number | null {
    const known = [...this.#ledger.tasks.keys()];
    if (known.length === 0) return null;
    const from = rng.chance(0.8) ? Math.max(0, known.length - 20) : 0;
    return known[rng.between(from, known.length - 1)] ?? null;
  }
}
