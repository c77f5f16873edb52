import * as meta from "#src/coordination/kernel/meta.ts";
import { raisedEpoch } from "#src/coordination/kernel/meta.ts";
import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";
import { type Bug, type ClientBugs, soundClient, soundHost, soundOperator } from "./bug.ts";
import { Client, type Habits, skillsOf } from "./client/client.ts";
import { chatName } from "./client/message-acts.ts";
import { LeaseBeliefs, TaskBeliefs } from "./beliefs.ts";
import { Front } from "./host/front.ts";
import { type Reply, type Request, SimHost } from "./host/sim-host.ts";
import { Machine } from "./machine.ts";
import { Network } from "./network.ts";
import type { PutBack } from "./oracle/keep.ts";
import { Oracle } from "./oracle/oracle.ts";
import { Sim } from "./sim.ts";
import type { Weather } from "./weather.ts";

/** How many there are. */
export interface Size {
  readonly machines: number;
  readonly chats: number;
}

/** How long tasks are kept once they have ended, and how many: within a night all of them go. */
const keeps = { keepTasksMs: 3_600_000, keepDeadTasksMs: 7_200_000, keepDedupeMs: 3_600_000, maxTasks: 300 };

/** Share of the processes that look for a socket; the others use HTTP alone. */
const socketShare = 0.6;

/** Beyond the longest lease of the simulation. */
const quietMs = 90_000;

/** By how much clocks run too fast; the margin of trust is made for 10 in 1,000. */
const rates = [-0.008, 0.008, -0.002, 0.000_02];

/** Machines, processes, the network and the host, with somebody who watches. */
export class World {
  readonly sim: Sim;
  readonly host: SimHost;
  readonly front: Front;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly machines: readonly Machine[];
  /** All processes that are not dead. */
  readonly clients = new Set<Client>();
  readonly size: Size;
  readonly leaseBeliefs: LeaseBeliefs;
  readonly taskBeliefs: TaskBeliefs;
  readonly bugs: ClientBugs;
  readonly habits: Habits = { forgets: 0.08, bound: 0.4, neglects: 0.03, isNight: false };
  /** Those that take part in the present event. */
  readonly touched = new Set<Client>();
  readonly operator: typeof soundOperator;
  #backup: { readonly image: Buffer; readonly putBack: PutBack } | null = null;
  #processes = 0;
  /** Called when a process has ended by itself. */
  onEnd: (client: Client) => void = () => undefined;

  constructor(seed: number, bug: Bug | null, weather: Weather, size: Size) {
    this.sim = new Sim(seed);
    this.size = size;
    this.operator = { ...soundOperator, ...bug?.operator };
    this.host = new SimHost(
      this.sim,
      { ...soundHost, ...bug?.host, ...(bug?.patch ? { patchFor: bug.patch } : {}) },
      weather,
    );
    this.front = new Front(this.sim, this.host);
    this.network = new Network(this.sim, () => this.host.weather);
    this.bugs = { ...soundClient, ...bug?.client };
    this.leaseBeliefs = new LeaseBeliefs(this.sim);
    this.oracle = new Oracle(this.sim, this.host, this.leaseBeliefs);
    const quiet = "SELECT 1 FROM meta WHERE key = 'quiet_until'";
    this.oracle.leases.isQuiet = () => this.host.sql.peek(quiet).length > 0;
    this.leaseBeliefs.isHeld = (resource, token) => this.oracle.leases.leases.get(resource)?.token === token;
    this.taskBeliefs = new TaskBeliefs(this.sim);
    this.taskBeliefs.isSurprise = (task, claim) =>
      this.oracle.tasks.tasks.get(task)?.ends.get(claim)?.isSurprise ?? false;
    this.oracle.tasks.onGrant = (task) => this.taskBeliefs.granted(task);
    this.machines = Array.from(
      { length: size.machines },
      (_, place) => new Machine(this.sim, `m${place}`, 1 + (rates[place % rates.length] ?? 0)),
    );
    this.host.onCommit = (commit) => this.oracle.committed(commit);
    this.sim.onSettled = () => this.#settled();
    this.host.onLost = (chat, isDeploy) => this.oracle.life.lost(chat, isDeploy);
    this.host.connections.onHeard = (chat) => this.oracle.life.heard(chat);
    // The host may die over it.
    while (!this.ask("settings.set", { settings: keeps }));
  }

  /** Somebody keeps the state of the coordinator, to go back to. Tasks are left out: there must be none. */
  backUp(): void {
    this.#backup = { image: this.host.sql.image(), putBack: this.oracle.keep() };
  }

  /**
   * The coordinator goes back to what was kept, and the operator raises the epoch. @returns false: there is nothing, or the epoch of this minute
   * is used up
   */
  restore(): boolean {
    const { sim, host, oracle } = this;
    const epoch = meta.readFacts(host.sql).epoch;
    if (!this.#backup || raisedEpoch(sim.hostNow) <= epoch) return false;
    host.restore(this.#backup.image);
    this.#backup.putBack();
    for (const { chat } of host.sql.peek<{ chat: string }>("SELECT chat FROM chats WHERE isConnected = 1"))
      oracle.life.lost(chat, true);
    this.leaseBeliefs.lostUpTo = (epoch + 1) * numbersPerEpoch;
    const { forgetsToRaise, skipsQuiet } = this.operator;
    if (forgetsToRaise) return true;
    // The host may die over it.
    while (!this.ask("epoch.raise", { reason: "restored", quietMs: skipsQuiet ? 0 : quietMs }));
    return true;
  }

  /**
   * Somebody sets the clock of the host. Set forward, it ends leases and claims that are still trusted: that nobody can prevent who has no other
   * clock. What was granted before is told apart; everything else holds.
   */
  setHostClock(byMs: number): void {
    this.sim.setHostClock(byMs);
    if (byMs < 0) return;
    this.leaseBeliefs.shakenUpTo = this.oracle.leases.newest;
    for (const { held } of this.oracle.tasks.tasks.values()) if (held) held.isShaken = true;
  }

  /** A new process begins to work as a chat. */
  spawn(place: number): Client {
    const { rng } = this.sim;
    const machine = this.machines[place % this.machines.length] as Machine;
    const client = new Client(
      {
        chat: chatName(place),
        machine,
        process: `${machine.name}.${machine.boot}.${(this.#processes += 1)}`,
        isInteractive: place % 2 === 0,
        hasSockets: rng.chance(socketShare),
        skills: skillsOf(place),
      },
      this,
    );
    this.clients.add(client);
    return client;
  }

  /** A process has ended by itself: left, or replaced by another process. */
  ended(client: Client): void {
    this.clients.delete(client);
    this.onEnd(client);
  }

  /** A process is gone at once. */
  kill(client: Client, isSeen: boolean): void {
    client.die();
    this.clients.delete(client);
    if (isSeen) client.socket?.endsAtHost();
  }

  /** The process that is registered as this chat, in this incarnation. */
  livingAs(chat: string, incarnation: number): Client | undefined {
    return [...this.clients].find(
      (client) => client.identity.chat === chat && client.self?.incarnation === incarnation && client.isUp,
    );
  }

  /** An admin, or anybody without a chat. */
  ask<Name extends Request["name"]>(name: Name, input: Request<Name>["input"]): Reply | null {
    return this.host.handle({ name, input, actor: { machine: "admin", isAdmin: true } });
  }

  /** All that a process may believe, after each event in which it takes part. */
  #settled(): void {
    for (const client of this.touched) client.leasing.recheck();
    this.touched.clear();
  }
}
