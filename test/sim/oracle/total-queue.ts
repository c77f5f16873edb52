import type { TaskState } from "#src/contract/tasks.ts";
import type { Sim } from "../sim.ts";

interface Job {
  /** Numbers under which it was accepted, as its submitter was told. */
  readonly tasks: Set<number>;
  /** Its submit has an id: it is accepted once. */
  readonly isNamed: boolean;
}

/**
 * Jepsen's total queue: what was submitted, received and done, by nothing but what clients were told. Nothing that was accepted is lost, nothing
 * comes that nobody has submitted, and what comes twice is counted once.
 */
export class TotalQueue {
  readonly #sim: Sim;
  #newest = 0;
  readonly #jobs = new Map<number, Job>();
  /** Of accepted tasks that nobody has looked for yet. */
  readonly #accepted = new Set<number>();
  /** By task: claims under which it was received, and the one whose result was taken. */
  readonly #received = new Map<number, Set<number>>();
  readonly #counted = new Map<number, number>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** Of a job that is going to be submitted. */
  newJob(isNamed: boolean): number {
    this.#newest += 1;
    this.#jobs.set(this.#newest, { tasks: new Set(), isNamed });
    return this.#newest;
  }

  accepted(job: number, task: number): void {
    this.#known(job, task);
    this.#accepted.add(task);
  }

  /** By who has submitted it, or by who has received it. */
  #known(job: number, task: number): void {
    const { tasks, isNamed } = this.#job(job);
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

  /** A result was taken, as the one who has worked on it believes. */
  counted(task: number, claim: number): void {
    const first = this.#counted.get(task) ?? claim;
    this.#counted.set(task, first);
    if (first !== claim) this.#sim.fail("queue", `task ${task} counts by claims ${first} and ${claim}`);
    const isReceived = this.#received.get(task)?.has(claim) ?? false;
    this.#sim.must(isReceived, "queue", () => `the result of task ${task} counts, and nobody has received it`);
  }

  /** At the end of a day. @param stateOf undefined: it is not known any more */
  settle(stateOf: (task: number) => TaskState | undefined, isPruned: (task: number) => boolean): void {
    for (const task of this.#accepted) {
      const state = stateOf(task);
      const isLost = state === undefined && !isPruned(task);
      this.#sim.must(!isLost, "queue", () => `task ${task} was accepted, and is lost`);
      const isDone = state === undefined || state === "done" || !this.#counted.has(task);
      this.#sim.must(isDone, "queue", () => `the result of task ${task} was taken, and it is ${state}`);
      this.#sim.count("accepted task accounted for");
      if (state === "done" || state === "cancelled" || state === undefined) this.#forget(task);
    }
  }

  #forget(task: number): void {
    this.#accepted.delete(task);
    this.#received.delete(task);
    this.#counted.delete(task);
  }

  #job(job: number): Job {
    return this.#jobs.get(job) ?? this.#sim.fail("queue", `job ${job} was received, and nobody has submitted it`);
  }
}
