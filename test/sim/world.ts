import * as meta from "#src/coordination/kernel/meta.ts";
import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";
import { LeaseBeliefs } from "./beliefs.ts";
import { Machine } from "./client-platform.ts";
import { Client, type Habits } from "./client/client.ts";
import { Front } from "./host/front.ts";
import { type Reply, type Request, SimHost } from "./host/sim-host.ts";
import { Network } from "./faults.ts";
import type { PutBack } from "./oracle/message-model.ts";
import { Oracle } from "./oracle/oracle.ts";
import { Sim } from "./sim.ts";

export const chats = 10;
const machines = 4;

const keeps = { keepTasksMs: 3_600_000, keepDeadTasksMs: 7_200_000, keepDedupeMs: 3_600_000, maxTasks: 300 };

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
    host.restore(this.#backup.image);
    this.#backup.putBack();
    this.leaseBeliefs.lostUpTo = (epoch + 1) * numbersPerEpoch;
    this.askUntilAnswered("epoch.raise", { reason: "restored", quietMs });
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
