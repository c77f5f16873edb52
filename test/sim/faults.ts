import { administer } from "./admin.ts";
import type { Client } from "./client/client.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** What goes wrong with processes, machines and the host, beside what the network does. */

/** A suspend and a step of the wall clock that cancel each other cannot be told from nothing; they are kept apart by so much. */
const apartMs = 120_000;

export interface Faults {
  readonly pause: (client: Client, ms: number) => void;
  readonly crash: (client: Client, isSeen: boolean, isAttested: boolean) => void;
  readonly crashMachine: (machine: Machine) => void;
  readonly suspend: (machine: Machine, ms: number, stepMs: number) => void;
  readonly setWall: (machine: Machine, byMs: number) => void;
  /** It stands still beyond every ttl; sometimes somebody starts another in its place. */
  readonly pauseForLong: (client: Client) => void;
  readonly cut: (client: Client, ms: number) => void;
  readonly breakSocket: (client: Client) => void;
  readonly deploy: () => void;
  readonly setHostClock: (byMs: number) => void;
  readonly backUp: () => void;
  readonly restore: () => void;
  readonly administer: () => void;
}

/** How a chat comes to another process. */
export interface Starts {
  readonly later: (place: number, inMs: number) => void;
  /** While the first one may still run. */
  readonly beside: (client: Client, inMs: number) => void;
}

/** The number of a client's chat. */
export function placeOf({ identity }: Client): number {
  return Number(identity.chat.slice(1));
}

export function faultsOf(world: World, starts: Starts): Faults {
  const { sim } = world;
  const quiet = new Map<Machine, number>();

  const on = (machine: Machine): Client[] => [...world.clients].filter((client) => client.identity.machine === machine);

  const wake = (machine: Machine): void => {
    for (const client of on(machine)) if (client.isRunning) client.goOn();
    for (const client of on(machine)) client.leasing.recheck();
  };

  /** Another process of the machine has seen that it is gone. */
  const attest = ({ identity: { chat, machine, process } }: Client, inMs: number): void => {
    sim.later(inMs, "death attested", () => {
      const observer = on(machine).find((client) => client.isRunning && client.isUp);
      if (!observer) return false;
      return observer.send("chats.attest-death", { chat, machine: machine.name, process });
    });
  };

  const pause: Faults["pause"] = (client, ms) => {
    if (!client.isRunning) return;
    client.isPaused = true;
    if (world.quirks.attestsTheLiving) attest(client, 1_000);
    sim.later(ms, "goes on", () => {
      client.isPaused = false;
      if (client.isRunning) client.goOn();
    });
  };

  return {
    pause,
    pauseForLong: (client) => {
      pause(client, sim.rng.between(15_000, 100_000));
      if (sim.rng.chance(0.5)) starts.beside(client, sim.rng.between(1_000, 40_000));
    },
    crash: (client, isSeen, isAttested) => {
      world.kill(client, isSeen);
      if (isAttested) attest(client, sim.rng.between(200, 5_000));
      starts.later(placeOf(client), sim.rng.between(500, sim.rng.chance(0.2) ? 120_000 : 10_000));
    },
    crashMachine: (machine) => {
      machine.boot += 1;
      for (const client of on(machine)) {
        world.kill(client, false);
        if (sim.rng.chance(0.3)) attest(client, sim.rng.between(15_000, 60_000));
        starts.later(placeOf(client), sim.rng.between(10_000, 60_000));
      }
    },
    suspend: (machine, ms, stepMs) => {
      if (machine.isSuspended || on(machine).some((client) => client.isPaused)) return;
      if ((quiet.get(machine) ?? 0) > sim.now) return;
      quiet.set(machine, sim.now + ms + apartMs);
      machine.suspend();
      sim.later(ms, "machine wakes", () => {
        machine.wake();
        machine.setWall(stepMs);
        wake(machine);
      });
    },
    setWall: (machine, byMs) => {
      if (machine.isSuspended || (quiet.get(machine) ?? 0) > sim.now) return;
      quiet.set(machine, sim.now + apartMs);
      machine.setWall(byMs);
      for (const client of on(machine)) client.leasing.recheck();
    },
    cut: (client, ms) => {
      client.isCut = true;
      sim.later(ms, "network is back", () => void (client.isCut = false));
    },
    breakSocket: (client) => {
      client.socket?.breakOff();
    },
    deploy: () => world.host.deploy(),
    setHostClock: (byMs) => world.setHostClock(byMs),
    backUp: () => world.backUp(),
    restore: () => {
      if (world.restore()) sim.count("restored");
    },
    administer: () => void administer(world),
  };
}
