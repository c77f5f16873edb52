import { toTrust, type Clock, type Instant } from "#src/coordinator-client/edge/trust.ts";
import type { Holding } from "../trust.ts";
import type { Client } from "./client.ts";

/** What a planted bug breaks around the client that is shipped: in its clocks, in the answers that it reads, in the use of what it says. */
export interface ClientQuirks {
  /** What a grant promises is read so that no margin is left. */
  readonly hasMargin: boolean;
  /** Which clocks count; `forward`: a wall clock that was set back is not noticed. */
  readonly clocks: "both" | "monotonic" | "wall" | "forward";
  /** From when a reply counts. */
  readonly trustsFrom: "request" | "reply";
  /** What is left of a grant that is found again counts as its whole ttl. */
  readonly ignoresRemaining: boolean;
  /** A grant that was waited for is trusted at once, for its whole ttl. */
  readonly trustsWhileWaiting: boolean;
  /** A ping brings back what had run out. */
  readonly pingsRevive: boolean;
  /** Pings count for what was bound in an earlier registration, too. */
  readonly pingsOutliveLives: boolean;
  /** A process that does not answer is reported as dead. */
  readonly attestsTheLiving: boolean;
  /** A process that gives a lease back goes on with it. */
  readonly keepsReleased: boolean;
  /** A submit without an answer is sent again under another id. */
  readonly submitsAnew: boolean;
  /** Who takes a task up begins at the beginning. */
  readonly beginsAnew: boolean;
  /** A result counts although it was refused. */
  readonly countsRefused: boolean;
  /** A process goes on with a task that it has given back. */
  readonly keepsReturned: boolean;
  /** Who has room again waits to be told. */
  readonly neverAsks: boolean;
}

export const soundClient: ClientQuirks = {
  hasMargin: true,
  clocks: "both",
  trustsFrom: "request",
  ignoresRemaining: false,
  trustsWhileWaiting: false,
  pingsRevive: false,
  pingsOutliveLives: false,
  attestsTheLiving: false,
  keepsReleased: false,
  submitsAnew: false,
  beginsAnew: false,
  countsRefused: false,
  keepsReturned: false,
  neverAsks: false,
};

/** The clocks that the client reads. */
export function clockOf({ clocks }: ClientQuirks, machine: Clock): Clock {
  const monotonic = (): number => machine.monotonic();
  const wall = (): number => machine.wall();
  let most = -Infinity;
  switch (clocks) {
    case "both":
      return machine;
    case "monotonic":
      return { monotonic, wall: monotonic };
    case "wall":
      return { monotonic: wall, wall };
    case "forward":
      return { monotonic, wall: () => monotonic() + (most = Math.max(most, wall() - monotonic())) };
  }
}

/** What a process believes of its rights: by the client that is shipped, unless a bug is planted. */
export class Belief {
  readonly #client: Client;
  /** Start of the last ping that was answered. */
  #pingedAt: Instant | null = null;
  readonly #kept = new WeakSet<Holding>();

  constructor(client: Client) {
    this.#client = client;
  }

  registered(): void {
    if (!this.#client.around.quirks.pingsOutliveLives) this.#pingedAt = null;
  }

  heard(roundTripMs: number): void {
    const { monotonic, wall } = this.#client.stamp();
    this.#pingedAt = { monotonic: monotonic - roundTripMs, wall: wall - roundTripMs };
  }

  /** Whether it is used on though it is given back. */
  keeps(holding: Holding): boolean {
    if (!this.#client.around.quirks.keepsReleased || !holding.isTrusted()) return false;
    this.#kept.add(holding);
    return true;
  }

  get #believesPings(): boolean {
    const { pingsRevive, pingsOutliveLives } = this.#client.around.quirks;
    return pingsRevive || pingsOutliveLives;
  }

  isTrusted(holding: Holding, { ttlMs, isBound }: { readonly ttlMs: number; readonly isBound: boolean }): boolean {
    const { right } = holding;
    if (right?.isTrusted() || this.#kept.has(holding)) return true;
    const isFollowing = isBound && right?.state === "doubtful" && this.#believesPings;
    if (!isFollowing || !this.#pingedAt) return false;
    return this.#client.trustedForMs(toTrust(this.#pingedAt, ttlMs, ttlMs)) > 0;
  }
}
