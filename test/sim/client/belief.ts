import { type Clock, type Instant, toTrust } from "#src/coordinator-client/edge/trust.ts";
import type { Holding } from "../beliefs.ts";
import type { ClientBugs } from "../bug.ts";
import type { Client } from "./client.ts";

/** The clocks that the client reads. */
export function clockOf({ clocks }: ClientBugs, machine: Clock): Clock {
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
    if (!this.#client.around.bugs.pingsOutliveLives) this.#pingedAt = null;
  }

  heard(roundTripMs: number): void {
    const { monotonic, wall } = this.#client.stamp();
    this.#pingedAt = { monotonic: monotonic - roundTripMs, wall: wall - roundTripMs };
  }

  /** Whether it is used on though it is given back. */
  keeps(holding: Holding): boolean {
    if (!this.#client.around.bugs.keepsReleased || !holding.isTrusted()) return false;
    this.#kept.add(holding);
    return true;
  }

  get #believesPings(): boolean {
    const { pingsRevive, pingsOutliveLives } = this.#client.around.bugs;
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
