import { atoms } from "./resources.ts";
import type { Reply } from "./host/sim-host.ts";
import type { World } from "./world.ts";

/** What an admin does now and then. */
export function administer(world: World): Reply | null {
  const { sim } = world;
  const { rng } = sim;
  switch (rng.below(3)) {
    case 0: {
      const held = [...world.oracle.leases.leases.keys()];
      const resource = held.length === 0 ? (atoms[0] as string) : rng.pick(held);
      return world.ask("leases.force-release", { resource, reason: "test" });
    }
    case 1:
      return world.ask("epoch.raise", { reason: "test", quietMs: 0 });
    default:
      return world.ask("settings.set", {
        settings: {
          chatTtlMs: rng.between(20, 40) * 1_000,
          workerGraceMs: rng.between(1, 10) * 1_000,
          interactiveGraceMs: rng.between(5, 30) * 1_000,
          keepChangesMs: rng.pick([60_000, 600_000, 3_600_000]),
          startDeadlineMs: rng.between(2, 40) * 1_000,
          balancingIntervalMs: rng.between(1, 20) * 1_000,
          maxStalls: rng.between(1, 4),
          maxLostChats: rng.between(1, 4),
        },
      });
  }
}
