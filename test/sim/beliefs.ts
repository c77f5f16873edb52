import type { Client } from "./client/client.ts";
import type { HeldLease } from "#src/coordinator-client/edge/leases.ts";
import type { Trust } from "#src/coordinator-client/edge/trust.ts";
import { atoms, maskOf, placesOf } from "./resources.ts";
import type { Sim } from "./sim.ts";

/** What one process has asked for, or has. */
export class Holding {
  readonly owner: Client;
  readonly resource: string;
  readonly requestId: string;
  readonly mask: number;
  /** Null: it waits for it. */
  right: HeldLease | null = null;
  /** Taken away by an admin: its holder cannot know. */
  isForced = false;
  #isOver = false;

  constructor(owner: Client, resource: string, requestId: string) {
    this.owner = owner;
    this.resource = resource;
    this.requestId = requestId;
    this.mask = maskOf(resource);
  }

  /** 0: it has none. */
  get token(): number {
    return this.right?.token ?? 0;
  }

  end(): void {
    this.#isOver = true;
  }

  /** Whether its owner acts on it now, by its own clocks. */
  isTrusted(): boolean {
    return this.owner.isAlive && !this.#isOver && this.right?.isTrusted() === true;
  }
}

/**
 * What all processes believe at one true instant. Belief is judged here alone: by the clocks of the processes and what they were told,
 * never by the tables. A belief begins, or is prolonged, only with an event of the process and with a change of a clock, so that is when it is looked
 * at.
 */
export class LeaseBeliefs {
  readonly #sim: Sim;
  readonly #byAtom: Holding[][] = atoms.map(() => []);
  readonly #byToken = new Map<number, Holding>();
  /** Tokens of leases that an admin has taken away. */
  readonly #forced = new Set<number>();
  /** Whether the coordinator has the lease of a token for its holder still. */
  isHeld: (resource: string, token: number) => boolean = () => true;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** Up to this token all were granted in histories of which the coordinator may have lost the end: what it has of them may be older. */
  lostUpTo = 0;
  /** Up to this token all were granted before the clock of the coordinator was set forward: they may have ended too early. */
  shakenUpTo = 0;

  /** It is held from now on. */
  add(holding: Holding): void {
    holding.isForced = this.#forced.has(holding.token);
    this.#byToken.set(holding.token, holding);
    for (const place of placesOf(holding.mask)) (this.#byAtom[place] as Holding[]).push(holding);
    this.check(holding);
  }

  /** Looks again at one that is believed. */
  check(holding: Holding): void {
    if (!this.#isJudged(holding)) return;
    if (holding.token > this.lostUpTo && !this.isHeld(holding.resource, holding.token)) {
      this.#sim.fail("kept-while-trusted", `${holding.owner.name} trusts ${holding.resource}, which is free`);
    }
    for (const place of placesOf(holding.mask)) {
      const believed = this.#byAtom[place] as Holding[];
      for (const other of believed) {
        if (other === holding || !this.#isJudged(other)) continue;
        this.#sim.fail(
          "one-holder",
          `${holding.owner.name} (${holding.resource}, token ${holding.token}) and ${other.owner.name} (${other.resource}, token ${other.token}) both trust ${atoms[place]}`,
        );
      }
    }
  }

  /** It is believed, and neither an admin nor a clock that was set has taken it from one who cannot know. */
  #isJudged(holding: Holding): boolean {
    if (holding.isForced || !holding.isTrusted()) return false;
    if (holding.token > this.shakenUpTo) return true;
    this.#sim.count("known: trusted when the coordinator's clock was set");
    return false;
  }

  drop(holding: Holding): void {
    holding.end();
    if (this.#byToken.get(holding.token) === holding) this.#byToken.delete(holding.token);
    for (const place of placesOf(holding.mask)) {
      const believed = this.#byAtom[place] as Holding[];
      const found = believed.indexOf(holding);
      if (found >= 0) believed.splice(found, 1);
    }
  }

  /** The coordinator gives the lease of a token to somebody else: nobody may believe in it any more. */
  freed(token: number, resource: string, isForced: boolean): void {
    if (isForced) this.#forced.add(token);
    const holding = this.#byToken.get(token);
    if (!holding) return;
    if (isForced) {
      holding.isForced = true;
      return;
    }
    if (!holding.isTrusted() || holding.isForced || token <= Math.max(this.lostUpTo, this.shakenUpTo)) return;
    this.#sim.fail("kept-while-trusted", `${resource} is free, and ${holding.owner.name} trusts it (token ${token})`);
  }
}

/** What one process was told of a task that it has, and what it may believe of it. */
export class TaskBelief {
  readonly owner: Client;
  readonly task: number;
  readonly claim: number;
  proof: Trust | null = null;

  constructor(owner: Client, task: number, claim: number) {
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
export class TaskBeliefs {
  readonly #sim: Sim;
  readonly #byTask = new Map<number, Set<TaskBelief>>();
  /**
   * Whether a claim has ended in a way that its holder cannot know by its own clocks: its chat counts as gone, or the task was not begun and
   * went to another. What still comes of such a claim is fenced by its number.
   */
  isSurprise: (task: number, claim: number) => boolean = () => false;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  prove(belief: TaskBelief, proof: Trust): void {
    if (belief.owner.trustedForMs(proof) <= belief.trustMs()) return;
    belief.proof = proof;
    const taskBeliefs = this.#byTask.get(belief.task) ?? new Set();
    this.#byTask.set(belief.task, taskBeliefs.add(belief));
    for (const other of taskBeliefs) {
      if (other === belief || other.trustMs() === 0) continue;
      this.#mustBeOver(belief.claim < other.claim ? belief : other);
    }
  }

  drop(belief: TaskBelief): void {
    belief.proof = null;
    const taskBeliefs = this.#byTask.get(belief.task);
    taskBeliefs?.delete(belief);
    if (taskBeliefs?.size === 0) this.#byTask.delete(belief.task);
  }

  /** A new claim of a task: nobody may work on it under an older one. */
  granted(task: number): void {
    for (const belief of this.#byTask.get(task) ?? []) this.#mustBeOver(belief);
  }

  #mustBeOver(belief: TaskBelief): void {
    const leftMs = belief.trustMs();
    this.#sim.must(
      leftMs === 0 || this.isSurprise(belief.task, belief.claim),
      "one-claim",
      () =>
        `${belief.owner.name} works on task ${belief.task} (claim ${belief.claim}) for ${Math.ceil(leftMs)} ms more, and it is somebody else's`,
    );
  }
}
