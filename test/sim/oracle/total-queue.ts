import type { TaskState } from "#src/contract/tasks.ts";
import type { Sim } from "../sim.ts";

interface Job {
  /** Tasks as which its submitter or a worker knows it. */
  readonly tasks: Set<number>;
  /** Its submit has an id, so it is accepted once. */
  readonly isNamed: boolean;
}

/**
 * Jepsen's total queue: jobs as their submitters and workers know them, without the tables. No accepted job is lost,
 * none appears that was not submitted, and one that runs twice is counted once.
 */
export class TotalQueue {
  readonly #sim: Sim;
  #newest = 0;
  readonly #jobs = new Map<number, Job>();
  readonly #accepted = new Set<number>();
  /** By task: its claims that a worker has received, and the one whose result was accepted. */
  readonly #received = new Map<number, Set<number>>();
  readonly #counted = new Map<number, number>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  newJob(isNamed: boolean): number {
    this.#newest += 1;
    this.#jobs.set(this.#newest, { tasks: new Set(), isNamed });
    return this.#newest;
  }

  accepted(job: number, task: number): void {
    this.#known(job, task);
    this.#accepted.add(task);
  }

  #known(job: number, task: number): void {
    const { tasks, isNamed } =
      this.#jobs.get(job) ?? this.#sim.fail("queue", `job ${job} was received and never submitted`);
    tasks.add(task);
    const isOnce = tasks.size === 1 || !isNamed;
    this.#sim.must(isOnce, "queue", () => `job ${job} was accepted as tasks ${[...tasks].join(" and ")}`);
  }

  received(job: number, task: number, claim: number): void {
    this.#known(job, task);
    const claims = this.#received.get(task) ?? new Set();
    if (claims.size > 0 && !claims.has(claim)) this.#sim.count("task received again");
    this.#received.set(task, claims.add(claim));
  }

  /** The coordinator has accepted the result of a claim, as its worker knows. */
  counted(task: number, claim: number): void {
    const first = this.#counted.get(task) ?? claim;
    this.#counted.set(task, first);
    if (first !== claim) this.#sim.fail("queue", `task ${task} counts by claims ${first} and ${claim}`);
    const isReceived = this.#received.get(task)?.has(claim) ?? false;
    this.#sim.must(isReceived, "queue", () => `the result of task ${task} counts, and no worker received its claim`);
  }

  /** At the end of a day. @param stateOf undefined: the task is not known */
  settle(stateOf: (task: number) => TaskState | undefined, isPruned: (task: number) => boolean): void {
    for (const task of this.#accepted) {
      const state = stateOf(task);
      const isLost = state === undefined && !isPruned(task);
      this.#sim.must(!isLost, "queue", () => `task ${task} was accepted, and is lost`);
      const isDone = state === undefined || state === "done" || !this.#counted.has(task);
      this.#sim.must(isDone, "queue", () => `the result of task ${task} was accepted, and it is ${state}`);
      this.#sim.count("accepted task accounted for");
      if (state !== "done" && state !== "cancelled" && state !== undefined) continue;
      this.#accepted.delete(task);
      this.#received.delete(task);
      this.#counted.delete(task);
    }
  }
}
