import { Access, mostPerToken } from "./access.ts";
import { acts, taskActs } from "./client/acts.ts";
import { Client, type Habits } from "./client/client.ts";
import { chatIndexOf, Faults, strike, stormy, Network } from "./faults.ts";
import { comeToRest } from "./rest.ts";
import { T0, Violation, Sim } from "./sim.ts";
import { LeaseBeliefs } from "./client/leasing.ts";
import { Machine, Front } from "./host/wire.ts";
import { type Reply, type Request, SimHost } from "./host/sim-host.ts";
import { Oracle } from "./oracle/oracle.ts";
import type { PutBack } from "./oracle/state-and-messages.ts";
import * as meta from "#src/coordination/kernel/meta.ts";
import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";

export type Run = Readonly<{ seed: number; events: number; day?: number; trace?: (line: string) => void }>;

export interface Outcome {
  readonly violation: Violation | null;
  readonly events: number;
  readonly counts: ReadonlyMap<string, number>;
}

export async function simulate({ seed, events, day, trace }: Run): Promise<Outcome> {
  const world = new World(seed);
  const { sim, host } = world;
  if (trace) sim.trace = (line) => trace(`${sim.events} +${sim.now - T0} ${line}`);
  let violation: Violation | null = null;
  try {
    await new Days(world, day).run(events);
  } catch (error) {
    // The engine refuses, and never throws.
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    violation = error instanceof Violation ? error : new Violation("throws", text, sim.events, sim.now);
  }
  host.sql.close();
  return { violation, events: sim.events, counts: sim.counts };
}

/** Events between two comparisons of the tables with the models. */
const checkEvery = 500;

/** Days of work, each with its own habits and weather, and after each a night in which everything must come to rest. */
class Days {
  readonly #world: World;
  readonly #faults: Faults;
  readonly #dayEvents: number;
  #weights: number[] = [];
  /** Mean time between two acts of one process, and between two faults. */
  #thinkMs = 1_500;
  #faultMs = 4_000;
  #isDay = false;
  #hasRestores = false;
  #day = 0;

  constructor(world: World, dayEvents = 20_000) {
    this.#world = world;
    this.#dayEvents = dayEvents;
    const later = (index: number, inMs: number): void => this.#startLater(index, inMs);
    this.#faults = new Faults(world, { later, beside: (client, inMs) => this.#startBeside(client, inMs) });
    world.onEnd = (client) => this.#startLater(chatIndexOf(client), world.sim.rng.between(200, 20_000));
  }

  async run(events: number): Promise<void> {
    const { sim, oracle } = this.#world;
    while (sim.events < events) {
      this.#dawn();
      await this.#until(Math.min(events, sim.events + this.#dayEvents));
      this.#isDay = false;
      await comeToRest(this.#world);
      oracle.trim();
    }
  }

  async #until(events: number): Promise<void> {
    const { sim, oracle, access } = this.#world;
    let nextCheck = sim.events + checkEvery;
    while (sim.events < events && (await sim.step())) {
      if (sim.events < nextCheck) continue;
      nextCheck = sim.events + checkEvery;
      oracle.check();
      access.check();
    }
  }

  /** On each day some acts are not done at all, and others far more often. */
  #dawn(): void {
    const { sim, host, habits, oracle } = this.#world;
    const { rng } = sim;
    this.#day += 1;
    sim.note(() => `day ${this.#day}`);
    const { sweepLimit: _, ...shares } = stormy;
    const rough = Object.entries(shares).map(([name, share]) => [name, share * rng.pick([0, 0.3, 1, 1, 2])]);
    host.weather = { ...stormy, ...Object.fromEntries(rough), sweepLimit: rng.pick([2, 20, 100]) };
    // On some days, and in their nights, the queue is away.
    if (rng.chance(0.3)) host.weather.queueLoss = 1;
    habits.forgets = rng.pick([0, 0.05, 0.1, 0.4]);
    habits.neglects = rng.pick([0, 0.02, 0.05, 0.15]);
    habits.bound = rng.pick([0, 0.4, 0.8]);
    habits.isNight = false;
    // A day with restores has no tasks: the oracle does not model what a restore makes of them.
    this.#hasRestores = oracle.tasks.tasks.size === 0 && rng.chance(0.5);
    if (this.#hasRestores) this.#world.backUp();
    this.#drawWeights();
    this.#thinkMs = rng.pick([400, 1_000, 2_500]);
    this.#faultMs = rng.pick([1_500, 5_000, 20_000]);
    this.#isDay = true;
    for (let index = 0; index < chats; index++) this.#startLater(index, rng.between(0, 3_000));
    this.#faultLater();
  }

  #drawWeights(): void {
    const { rng } = this.#world.sim;
    this.#weights = acts.map((act) => {
      const weight = act.weight * rng.pick([0, 1, 1, 1, 2, 4]);
      return this.#hasRestores && taskActs.includes(act) ? 0 : weight;
    });
    this.#weights[0] = Math.max(1, this.#weights[0] ?? 0);
  }

  /** An event of this day; it is dropped when the day has ended. */
  #today(inMs: number, label: string, work: () => boolean | void): void {
    const day = this.#day;
    this.#world.sim.later(inMs, label, () => (this.#isDay && day === this.#day ? work() : false));
  }

  #startLater(index: number, inMs: number): void {
    this.#today(inMs, "process starts", () => this.#tick(this.#world.spawn(index)));
  }

  /** A second process of a chat starts while the first one only stands still. */
  #startBeside(client: Client, inMs: number): void {
    const start = (): void => this.#tick(this.#world.spawn(chatIndexOf(client)));
    this.#today(inMs, "process starts beside another", () => (client.isPaused ? start() : false));
  }

  #tick(client: Client): void {
    const { sim } = this.#world;
    client.later(sim.rng.between(1, 2 * this.#thinkMs), "act", () => {
      if (!this.#isDay || client.isLeaving) return;
      if (client.isUp) {
        const act = acts[sim.rng.draw(this.#weights)];
        sim.note(() => `${client.name}: ${act?.name}`);
        act?.run(client, sim.rng);
      }
      this.#tick(client);
    });
  }

  #faultLater(): void {
    const { rng } = this.#world.sim;
    this.#today(rng.between(1, 2 * this.#faultMs), "fault", () => {
      strike(this.#faults, this.#world, this.#hasRestores);
      this.#faultLater();
    });
  }
}

const chats = 10;
const machines = 4;

const keeps = {
  maxBoxesPerToken: mostPerToken,
  keepTasksMs: 3_600_000,
  keepDeadTasksMs: 7_200_000,
  keepDedupeMs: 3_600_000,
  maxTasks: 300,
};

/** Longer than any lease of the simulation. */
const quietMs = 90_000;

/** Errors of the machines' clocks; the margin of trust covers 10 in 1,000. */
const rates = [-0.008, 0.008, -0.002, 0.000_02];

/** Machines, processes, the network and the host, with the oracle that judges them. */
export class World {
  readonly sim: Sim;
  readonly host: SimHost;
  readonly front: Front;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly access: Access;
  readonly machines: readonly Machine[];
  readonly clients = new Set<Client>();
  readonly leaseBeliefs: LeaseBeliefs;
  readonly habits: Habits = { forgets: 0.08, bound: 0.4, neglects: 0.03, isNight: false };
  /** Processes that take part in the present event. */
  readonly touched = new Set<Client>();
  #backup: { readonly image: Buffer; readonly putBack: PutBack } | null = null;
  #processes = 0;
  onEnd: (client: Client) => void = () => undefined;

  constructor(seed: number) {
    const sim = (this.sim = new Sim(seed));
    this.host = new SimHost(sim);
    this.front = new Front(sim, this.host);
    this.network = new Network(sim, () => this.host.weather);
    this.leaseBeliefs = new LeaseBeliefs(sim);
    const oracle = (this.oracle = new Oracle(sim, this.host, this.leaseBeliefs));
    const quiet = "SELECT 1 FROM meta WHERE key = 'quiet_until'";
    this.access = new Access(sim, this.host);
    oracle.leases.isQuiet = () => this.host.sql.peek(quiet).length > 0;
    this.machines = Array.from(
      { length: machines },
      (_, index) => new Machine(sim, `m${index}`, 1 + (rates[index % rates.length] ?? 0)),
    );
    this.host.onCommit = (commit) => oracle.committed(commit);
    sim.onSettled = () => {
      for (const client of this.touched) client.leasing.recheck();
      this.touched.clear();
    };
    this.askUntilAnswered("settings.set", { settings: keeps });
  }

  /** Keeps the state of the coordinator. Tasks are left out: there must be none. */
  backUp(): void {
    this.#backup = { image: this.host.sql.image(), putBack: this.oracle.keep() };
  }

  /** Restores the kept state and raises the epoch. @returns false: nothing is kept, or the epoch of this minute is used */
  restore(): boolean {
    const { sim, host } = this;
    const { epoch } = meta.readFacts(host.sql);
    if (!this.#backup || meta.raisedEpoch(sim.hostNow) <= epoch) return false;
    this.#backup.putBack();
    this.leaseBeliefs.lostUpTo = (epoch + 1) * numbersPerEpoch;
    host.restore(this.#backup.image, { id: `${sim.events}`, to: T0, reason: "restored", quietMs, by: "admin" });
    return true;
  }

  spawn(index: number): Client {
    const machine = this.machines[index % this.machines.length] as Machine;
    const process = `${machine.name}.${machine.boot}.${(this.#processes += 1)}`;
    const client = new Client(this, index, machine, process);
    this.clients.add(client);
    return client;
  }

  ended(client: Client): void {
    this.clients.delete(client);
    this.onEnd(client);
  }

  kill(client: Client, isSeen: boolean): void {
    client.die();
    this.clients.delete(client);
    if (isSeen) client.socket?.endsAtHost();
  }

  /** Asks as an admin. @returns null: the host died */
  ask<Name extends Request["name"]>(name: Name, input: Request<Name>["input"]): Reply | null {
    return this.host.handle({ name, input, actor: { machine: "admin", isAdmin: true } });
  }

  askUntilAnswered<Name extends Request["name"]>(name: Name, input: Request<Name>["input"]): void {
    while (!this.ask(name, input));
  }
}
