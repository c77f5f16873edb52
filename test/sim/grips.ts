import type { Trust } from "#src/coordinator-client/edge/trust.ts";
import type { Sim } from "./sim.ts";
import type { Believer } from "./trust.ts";

/** What one process was told of a task that it has, and what it may believe of it. */
export class Grip {
  readonly owner: Believer;
  readonly task: number;
  readonly claim: number;
  proof: Trust | null = null;

  constructor(owner: Believer, task: number, claim: number) {
    this.owner = owner;
    this.task = task;
    this.claim = claim;
  }

  /** It may be over sooner than was believed. */
  shorten(proof: Trust): void {
    this.proof = { ...proof, forMs: Math.min(proof.forMs, this.trustMs()) };
  }

  /** For how long it may still work on it, by its clocks; 0: not at all. */
  trustMs(): number {
    return this.proof && this.owner.isAlive ? this.owner.trustedForMs(this.proof) : 0;
  }
}

/**
 * Which processes work on which task at one true instant, by their clocks and by what they were told. A belief begins, or is prolonged, only in
 * `prove`, and another one can only follow a new claim, so that is where it is looked at.
 */
export class Grips {
  readonly #sim: Sim;
  readonly #byTask = new Map<number, Set<Grip>>();
  /**
   * Whether a claim has ended in a way that its holder cannot know by its own clocks: its chat counts as gone, or the task was not begun and
   * went to another. What still comes of such a claim is fenced by its number.
   */
  isSurprise: (task: number, claim: number) => boolean = () => false;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  prove(grip: Grip, proof: Trust): void {
    if (grip.owner.trustedForMs(proof) <= grip.trustMs()) return;
    grip.proof = proof;
    const grips = this.#byTask.get(grip.task) ?? new Set();
    this.#byTask.set(grip.task, grips.add(grip));
    for (const other of grips) this.#apart(grip, other);
  }

  drop(grip: Grip): void {
    grip.proof = null;
    const grips = this.#byTask.get(grip.task);
    grips?.delete(grip);
    if (grips?.size === 0) this.#byTask.delete(grip.task);
  }

  /** A new claim of a task: nobody may work on it under an older one. */
  granted(task: number): void {
    for (const grip of this.#byTask.get(task) ?? []) this.#mustBeOver(grip);
  }

  #apart(one: Grip, other: Grip): void {
    if (one === other || one.trustMs() === 0 || other.trustMs() === 0) return;
    this.#mustBeOver(one.claim < other.claim ? one : other);
  }

  #mustBeOver(grip: Grip): void {
    const leftMs = grip.trustMs();
    this.#sim.must(
      leftMs === 0 || this.isSurprise(grip.task, grip.claim),
      "one-claim",
      () =>
        `${grip.owner.name} works on task ${grip.task} (claim ${grip.claim}) for ${Math.ceil(leftMs)} ms more, and it is somebody else's`,
    );
  }
}
