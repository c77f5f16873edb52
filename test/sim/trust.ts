import type { Trust } from "../../src/coordinator-client/edge/trust.ts";
import { atoms, maskOf, placesOf } from "./resources.ts";
import type { Sim } from "./sim.ts";

/** Who may believe in a lease: a process with its clocks. */
export interface Believer {
  readonly name: string;
  readonly isAlive: boolean;
  /** For how long it still believes, by its own clocks; 0: not at all. */
  trustedForMs(proof: Trust): number;
}

/** What one process has asked for, or has. */
export class Holding {
  readonly owner: Believer;
  readonly resource: string;
  readonly requestId: string;
  readonly mask: number;
  /** As asked for. */
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly lockDelayMs: number;
  isBound: boolean;
  /** When it was first asked for, true time. */
  readonly askedAt: number;
  state: "asking" | "waiting" | "held" | "over" = "asking";
  hasWaited = false;
  token = 0;
  /** As last told: its time from a renewal on. */
  spanMs = 0;
  proof: Trust | null = null;
  /** The registration in which the coordinator has said that it is bound: pings of it count. */
  life: number | null = null;
  /** Taken away by an admin: its holder cannot know. */
  isForced = false;
  /** False: it is left to run out. */
  isRenewed = true;
  /** Only the newest timer renews. */
  plan = 0;

  constructor(
    owner: Believer,
    wanted: Pick<Holding, "resource" | "requestId" | "ttlMs" | "waitMs" | "lockDelayMs" | "isBound" | "askedAt">,
  ) {
    this.owner = owner;
    this.resource = wanted.resource;
    this.requestId = wanted.requestId;
    this.ttlMs = wanted.ttlMs;
    this.waitMs = wanted.waitMs;
    this.lockDelayMs = wanted.lockDelayMs;
    this.isBound = wanted.isBound;
    this.askedAt = wanted.askedAt;
    this.mask = maskOf(wanted.resource);
  }

  /** For how long it is still believed, ms by the owner's clocks; 0: it is not. */
  trustMs(): number {
    return this.proof && this.owner.isAlive ? this.owner.trustedForMs(this.proof) : 0;
  }
}

/**
 * What all processes believe at one true instant. [SM1] is judged here and nowhere else: by the clocks of the processes and what they were told,
 * never by the tables. A belief begins, or is prolonged, only in `prove` and with a change of a clock, so that is where it is looked at.
 */
export class TrustBook {
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

  prove(holding: Holding, proof: Trust): void {
    if (holding.owner.trustedForMs(proof) <= holding.trustMs()) return;
    holding.proof = proof;
    holding.isForced = this.#forced.has(holding.token);
    this.#byToken.set(holding.token, holding);
    for (const place of placesOf(holding.mask)) {
      const believed = this.#byAtom[place] as Holding[];
      if (!believed.includes(holding)) believed.push(holding);
    }
    this.check(holding);
  }

  /** Looks again at one that is believed. */
  check(holding: Holding): void {
    if (!this.#isJudged(holding)) return;
    if (holding.token > this.lostUpTo && !this.isHeld(holding.resource, holding.token)) {
      this.#sim.fail(
        "kept-while-trusted",
        `${holding.owner.name} trusts ${holding.resource} (token ${holding.token}), which is free`,
      );
    }
    for (const place of placesOf(holding.mask)) {
      const believed = this.#byAtom[place] as Holding[];
      for (const other of believed) {
        if (other === holding || !this.#isJudged(other)) continue;
        this.#sim.fail(
          "one-holder",
          `${holding.owner.name} (${holding.resource}, token ${holding.token}, ${Math.ceil(holding.trustMs())} ms left) and ${other.owner.name} (${other.resource}, token ${other.token}, ${Math.ceil(other.trustMs())} ms left) both trust ${atoms[place]}`,
        );
      }
    }
  }

  /** It is believed, and neither an admin nor a clock that was set has taken it from one who cannot know. */
  #isJudged(holding: Holding): boolean {
    if (holding.isForced || holding.trustMs() === 0) return false;
    if (holding.token > this.shakenUpTo) return true;
    this.#sim.count("known: trusted when the coordinator's clock was set");
    return false;
  }

  drop(holding: Holding): void {
    holding.state = "over";
    holding.proof = null;
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
    const left = holding.trustMs();
    if (left === 0 || holding.isForced || token <= Math.max(this.lostUpTo, this.shakenUpTo)) return;
    this.#sim.fail(
      "kept-while-trusted",
      `${resource} (token ${token}) is free, and ${holding.owner.name} trusts it for ${Math.ceil(left)} ms more`,
    );
  }
}
