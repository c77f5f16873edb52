import type { Clock } from "#src/coordinator-client/edge/trust.ts";
import type { ClientBugs } from "../bug.ts";

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
    case "slow":
      return { monotonic: () => 0.9 * monotonic(), wall: () => 0.9 * wall() };
    case "forward":
      return { monotonic, wall: () => monotonic() + (most = Math.max(most, wall() - monotonic())) };
  }
}
