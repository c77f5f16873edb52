import type { Clock } from "#src/coordinator-client/edge/trust.ts";
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
  readonly #kept = new WeakSet<Holding>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Whether it is used on though it is given back. */
  keeps(holding: Holding): boolean {
    if (!this.#client.around.bugs.keepsReleased || !holding.isTrusted()) return false;
    this.#kept.add(holding);
    return true;
  }

  isTrusted(holding: Holding): boolean {
    return holding.right?.isTrusted() === true || this.#kept.has(holding);
  }
}
