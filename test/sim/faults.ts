import type { Client } from "./client/client.ts";
import type { Sim, Rng } from "./sim.ts";
import type { Machine } from "./host/wire.ts";
import type { World } from "./days.ts";

export const stormy = {
  /** Messages to the host and back that are lost. */
  loss: 0.03,
  duplicate: 0.1,
  /** Delays of up to 2 s, and of up to 40 s. */
  slow: 0.06,
  /** Deaths of the host before the commit, and after it before anything is sent. */
  crash: 0.004,
  eviction: 0.006,
  alarmLost: 0.03,
  alarmLate: 0.1,
  alarmTwice: 0.05,
  queueLoss: 0.1,
  queueTwice: 0.15,
  queueSlow: 0.2,
  sweepLimit: 20,
};
export type Weather = typeof stormy;

const names = Object.keys(stormy) as (keyof Weather)[];
export const calm = { ...(Object.fromEntries(names.map((name) => [name, 0])) as Weather), sweepLimit: 100 };

export interface Exchange<Reply> {
  readonly serve: () => Reply | null;
  readonly onReply: (reply: Reply) => void;
  /** The connection was reset. The request may have arrived, and a copy of it may still arrive. */
  readonly onReset: () => void;
}

/** Loses, delays, doubles and reorders HTTP requests. Sockets keep their own order. */
export class Network {
  readonly #sim: Sim;
  readonly #weather: () => Weather;

  constructor(sim: Sim, weather: () => Weather) {
    this.#sim = sim;
    this.#weather = weather;
  }

  send<Reply>(from: Client, exchange: Exchange<Reply>): void {
    const { rng } = this.#sim;
    const delayMs = this.delay();
    const arrives = (): void => this.#arrives(from, exchange);
    if (this.isLost()) {
      this.#sim.count("request lost");
      this.#fails(from, exchange);
    } else this.#sim.later(delayMs, "request", arrives);
    if (!rng.chance(this.#weather().duplicate)) return;
    this.#sim.later(delayMs + this.delay() + rng.below(3_000), "request again", arrives);
  }

  delay(): number {
    const { rng } = this.#sim;
    if (!rng.chance(this.#weather().slow)) return rng.between(2, 40);
    return rng.between(50, rng.chance(0.2) ? 40_000 : 2_000);
  }

  isLost(part = 1): boolean {
    return this.#sim.rng.chance(part * this.#weather().loss);
  }

  #arrives<Reply>(from: Client, exchange: Exchange<Reply>): void {
    const reply = from.isCut ? null : exchange.serve();
    const delivers = (given: Reply) =>
      from.isCut ? this.#fails(from, exchange) : from.deliver(() => exchange.onReply(given));
    if (reply !== null && !this.isLost()) return this.#sim.later(this.delay(), "reply", () => delivers(reply));
    if (reply !== null) this.#sim.count("reply lost");
    this.#fails(from, exchange);
  }

  /** Most connections are reset some time later; the others stay silent. */
  #fails<Reply>(from: Client, { onReset }: Exchange<Reply>): void {
    const { rng } = this.#sim;
    if (rng.chance(0.3)) return;
    this.#sim.later(rng.between(100, 6_000), "connection reset", () => from.deliver(onReset));
  }
}

/** Faults of processes, machines and the host. */

/** A suspend and a step of the wall clock that cancel each other leave no trace on a machine, so they are kept apart. */
const apartMs = 120_000;

interface Starts {
  readonly later: (index: number, inMs: number) => void;
  readonly beside: (client: Client, inMs: number) => void;
}

export const chatIndexOf = ({ identity }: Client): number => Number(identity.chat.slice(1));

export class Faults {
  readonly #world: World;
  readonly #starts: Starts;
  /** Until when the clocks of a machine are left alone. */
  readonly #quiet = new Map<Machine, number>();

  constructor(world: World, starts: Starts) {
    this.#world = world;
    this.#starts = starts;
  }

  pause(client: Client, ms: number): void {
    if (!client.isRunning) return;
    client.isPaused = true;
    this.#world.sim.later(ms, "goes on", () => {
      client.isPaused = false;
      if (client.isRunning) client.goOn();
    });
  }

  /** A pause beyond every ttl, during which another process of the chat may start. */
  pauseForLong(client: Client): void {
    const { rng } = this.#world.sim;
    this.pause(client, rng.between(15_000, 100_000));
    if (rng.chance(0.5)) this.#starts.beside(client, rng.between(1_000, 40_000));
  }

  crash(client: Client, isSeen: boolean, isAttested: boolean): void {
    const { rng } = this.#world.sim;
    this.#world.kill(client, isSeen);
    if (isAttested) this.#attest(client, rng.between(200, 5_000));
    this.#starts.later(chatIndexOf(client), rng.between(500, rng.chance(0.2) ? 120_000 : 10_000));
  }

  crashMachine(machine: Machine): void {
    const { rng } = this.#world.sim;
    machine.boot += 1;
    for (const client of this.#on(machine)) {
      this.#world.kill(client, false);
      if (rng.chance(0.3)) this.#attest(client, rng.between(15_000, 60_000));
      this.#starts.later(chatIndexOf(client), rng.between(10_000, 60_000));
    }
  }

  suspend(machine: Machine, ms: number, stepMs: number): void {
    const { sim } = this.#world;
    if (this.#isQuiet(machine) || this.#on(machine).some((client) => client.isPaused)) return;
    this.#quiet.set(machine, sim.now + ms + apartMs);
    machine.fallAsleep();
    sim.later(ms, "machine wakes", () => {
      machine.wake();
      machine.setWall(stepMs);
      for (const client of this.#on(machine)) if (client.isRunning) client.goOn();
      for (const client of this.#on(machine)) client.leasing.recheck();
    });
  }

  setWall(machine: Machine, byMs: number): void {
    if (this.#isQuiet(machine)) return;
    this.#quiet.set(machine, this.#world.sim.now + apartMs);
    machine.setWall(byMs);
    for (const client of this.#on(machine)) client.leasing.recheck();
  }

  cut(client: Client, ms: number): void {
    client.isCut = true;
    this.#world.sim.later(ms, "network is back", () => void (client.isCut = false));
  }

  #on(machine: Machine): Client[] {
    return [...this.#world.clients].filter((client) => client.identity.machine === machine);
  }

  #isQuiet(machine: Machine): boolean {
    return machine.isAsleep || (this.#quiet.get(machine) ?? 0) > this.#world.sim.now;
  }

  #attest({ identity: { chat, machine, process } }: Client, inMs: number): void {
    this.#world.sim.later(inMs, "death attested", () => {
      const observer = this.#on(machine).find((client) => client.isRunning && client.isUp);
      if (!observer) return false;
      return observer.send("chats.attest-death", { chat, machine: machine.name, process });
    });
  }
}

function administer(world: World, rng: Rng): void {
  if (rng.chance(0.3)) world.ask("epoch.raise", { reason: "test", quietMs: 0 });
  else {
    const seconds = (from: number, to: number): number => rng.between(from, to) * 1_000;
    const life = { chatTtlMs: seconds(20, 40), workerGraceMs: seconds(1, 10), interactiveGraceMs: seconds(5, 30) };
    const keepChangesMs = rng.pick([60_000, 600_000, 3_600_000]);
    const dispatch = { startDeadlineMs: seconds(2, 40), balancingIntervalMs: seconds(1, 20) };
    const bounds = { maxStalls: rng.between(1, 4), maxLostChats: rng.between(1, 4) };
    world.ask("settings.set", { settings: { ...life, keepChangesMs, ...dispatch, ...bounds } });
  }
}

type Hit = Readonly<{ rng: Rng; world: World; faults: Faults; client: Client; machine: Machine }>;

type Fault = readonly [weight: number, run: (hit: Hit) => void];

const plan: Readonly<Record<string, Fault>> = {
  pause: [17, ({ faults, rng, client }) => faults.pause(client, rng.between(100, rng.chance(0.2) ? 60_000 : 10_000))],
  "long pause": [12, ({ faults, client }) => faults.pauseForLong(client)],
  suspend: [
    13,
    ({ faults, rng, machine }) => {
      const ms = rng.between(1_000, 120_000);
      // The wall clock is seldom set back so far that the machine notices.
      faults.suspend(machine, ms, rng.chance(0.8) ? rng.between(-300, 300) : -ms - rng.between(12_000, 60_000));
    },
  ],
  "clock set": [
    12,
    ({ faults, rng, machine }) => {
      const byMs = rng.chance(0.5) ? rng.between(0, 4_900) : rng.between(7_000, 3_600_000);
      faults.setWall(machine, rng.pick([1, -1]) * byMs);
    },
  ],
  crash: [16, ({ faults, rng, client }) => faults.crash(client, rng.chance(0.7), rng.chance(0.4))],
  "machine crash": [1, ({ faults, machine }) => faults.crashMachine(machine)],
  "cut off": [
    15,
    ({ faults, rng, client }) => {
      if (rng.chance(0.3)) client.socket?.breakOff();
      faults.cut(client, rng.between(1_000, 60_000));
    },
  ],
  "socket broken": [7, ({ client }) => client.socket?.breakOff()],
  deploy: [6, ({ world }) => world.host.deploy()],
  access: [
    60,
    ({ world, rng }) => {
      for (let left = rng.between(1, 6); left > 0; left -= 1) world.access.act();
    },
  ],
  admin: [3, ({ world, rng }) => administer(world, rng)],
  backup: [12, ({ world }) => world.backUp()],
  restore: [10, ({ world }) => world.restore() && world.sim.count("restored")],
  "host clock set back": [3, ({ rng, world }) => world.sim.setHostClockBack(rng.between(1_000, 60_000))],
};

const restores = new Set(["backup", "restore"]);

export function strike(faults: Faults, world: World, hasRestores: boolean): void {
  const { sim, machines } = world;
  const { rng } = sim;
  const alive = [...world.clients];
  if (alive.length === 0) return;
  const all = Object.entries(plan);
  const found = all[rng.draw(all.map(([name, [weight]]) => (hasRestores || !restores.has(name) ? weight : 0)))];
  const [client, machine] = [rng.pick(alive), rng.pick(machines)];
  if (!found) return;
  const [name, [, run]] = found;
  sim.count(`fault: ${name}`);
  sim.note(() => `fault: ${name} (${client.name}, ${machine.name})`);
  run({ rng, world, faults, client, machine });
}
