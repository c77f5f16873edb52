import type { Client } from "./client/client.ts";
import type { Faults } from "./faults.ts";
import type { Machine } from "./machine.ts";
import type { Rng } from "./rng.ts";

/** How often what goes wrong, beside the others, and how badly. */

interface Fault {
  readonly name: string;
  readonly weight: number;
  readonly run: (faults: Faults, client: Client, machine: Machine, rng: Rng) => void;
}

const backup = "backup";

const plan: readonly Fault[] = [
  { name: "short pause", weight: 14, run: (faults, client, _, rng) => faults.pause(client, rng.between(100, 10_000)) },
  // Just beyond the ttl of a chat, and nobody takes its place.
  { name: "pause", weight: 3, run: (faults, client, _, rng) => faults.pause(client, rng.between(25_000, 60_000)) },
  { name: "long pause", weight: 12, run: (faults, client) => faults.pauseForLong(client) },
  {
    name: "suspend",
    weight: 10,
    run: (faults, _, machine, rng) => faults.suspend(machine, rng.between(1_000, 120_000), rng.between(-300, 300)),
  },
  {
    // The wall clock is set back meanwhile, by so much that it shows.
    name: "suspend with a step",
    weight: 3,
    run: (faults, _, machine, rng) => {
      const ms = rng.between(5_000, 60_000);
      faults.suspend(machine, ms, -ms - rng.between(12_000, 60_000));
    },
  },
  {
    name: "clock stepped",
    weight: 6,
    run: (faults, _, machine, rng) => faults.setWall(machine, rng.between(-4_900, 4_900)),
  },
  {
    name: "clock set",
    weight: 6,
    run: (faults, _, machine, rng) => faults.setWall(machine, rng.pick([1, -1]) * rng.between(7_000, 3_600_000)),
  },
  {
    name: "crash",
    weight: 16,
    run: (faults, client, _, rng) => faults.crash(client, rng.chance(0.7), rng.chance(0.4)),
  },
  { name: "machine crash", weight: 1, run: (faults, _, machine) => faults.crashMachine(machine) },
  { name: "cut off", weight: 10, run: (faults, client, _, rng) => faults.cut(client, rng.between(1_000, 60_000)) },
  { name: "socket broken", weight: 7, run: (faults, client) => faults.breakSocket(client) },
  {
    name: "network away",
    weight: 5,
    run: (faults, client, _, rng) => {
      faults.breakSocket(client);
      faults.cut(client, rng.between(3_000, 25_000));
    },
  },
  { name: "deploy", weight: 6, run: (faults) => faults.deploy() },
  { name: "admin", weight: 3, run: (faults) => faults.administer() },
  {
    name: "host clock set ahead",
    weight: 1,
    run: (faults, _, __, rng) => faults.setHostClock(rng.between(1_000, rng.chance(0.5) ? 60_000 : 10_800_000)),
  },
  {
    name: "host clock set back",
    weight: 2,
    run: (faults, _, __, rng) => faults.setHostClock(-rng.between(1_000, 60_000)),
  },
  { name: backup, weight: 12, run: (faults) => faults.backUp() },
  { name: "restore", weight: 10, run: (faults) => faults.restore() },
];

/** On all other days. */
export const noRestores = { [backup]: 0, restore: 0 };

/** @param factors by name, for what is looked for */
export function drawFault(rng: Rng, factors: Readonly<Record<string, number>>): Fault {
  const weights = plan.map(({ name, weight }) => weight * (factors[name] ?? 1));
  let left = rng.below(weights.reduce((sum, weight) => sum + weight, 0));
  for (const [place, fault] of plan.entries()) {
    left -= weights[place] ?? 0;
    if (left < 0) return fault;
  }
  throw new Error("nothing to draw from");
}
