import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { CallError } from "#src/contract/errors.ts";
import type { CallInput, CallName, InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import type { EdgeEvent } from "#src/coordinator-client/edge/events.ts";
import { type Clock, type Instant, readClock, type Trust, trustedForMs } from "#src/coordinator-client/edge/trust.ts";
import type { Result } from "#src/shared/result.ts";
import type { World } from "../world.ts";
import type { Call } from "../host/front.ts";
import type { Reply } from "../host/sim-host.ts";
import type { Machine } from "../machine.ts";
import { platformOf, type SimSocket } from "../client-platform.ts";
import { Copy } from "./copy.ts";
import { Leasing } from "./leasing.ts";
import { clockOf } from "./clock.ts";
import { Working } from "./working.ts";

/** Change from day to day. */
export interface Habits {
  /** Share of the renewals after which no other follows. */
  forgets: number;
  /** Share of the leases that are bound to their chat's life. */
  bound: number;
  /** Share of the steps of work after which a task is forgotten. */
  neglects: number;
  /** Whatever is taken is done at once. */
  isNight: boolean;
}

export interface Identity {
  readonly chat: string;
  readonly machine: Machine;
  /** Boot, pid and start time in one. */
  readonly process: string;
  readonly isInteractive: boolean;
  /** Whether sockets open where it runs. */
  readonly hasSockets: boolean;
  readonly skills: Skills;
}

export interface Framed {
  readonly resource: string;
  readonly token: number;
}

export type Answer<Name extends CallName> = Result<OutputOf<Name>, CallError>;

const url = "https://edge.example";
/** Registrations that are refused in a row, before it ends: another process works as this chat, and goes on. */
const mostRefusals = 12;
const leaveTimeoutMs = 60_000;

/** One process that works as a chat through the client that is shipped: its clocks, whether it runs, and what it does. */
export class Client {
  readonly identity: Identity;
  readonly around: World;
  readonly edge: WorkspaceClient;
  readonly leasing: Leasing;
  readonly copy: Copy;
  readonly working: Working;
  isAlive = true;
  isPaused = false;
  /** Cut off: nothing comes through. */
  isCut = false;
  /** Leases that were granted in frames. */
  readonly framed: Framed[] = [];
  /** It has said that it leaves, and begins nothing more. */
  isLeaving = false;
  /** The newest one. */
  socket: SimSocket | null = null;
  readonly #clock: Clock;
  #requests = 0;
  #refusals = 0;
  #incarnation = 0;
  #backlog: (() => boolean | void)[] = [];

  constructor(identity: Identity, around: World) {
    this.identity = identity;
    this.around = around;
    this.#clock = clockOf(around.bugs, identity.machine);
    const options = { edge: url, workspace: "sim", token: "shim_t" };
    const opened = WorkspaceClient.open(options, platformOf(this, this.#clock));
    if (!opened.ok) throw new Error(opened.error);
    this.edge = opened.value;
    this.leasing = new Leasing(this);
    this.working = new Working(this);
    this.copy = new Copy(this);
    this.edge.on((event) => this.#heard(event));
    this.edge.onHint((news) => {
      if (news === "task") this.working.hinted();
    });
    if (around.sim.rng.chance(0.5)) this.#readMessages();
    this.run(() => this.#register());
    this.copy.follow();
  }

  get name(): string {
    return `${this.identity.chat}/${this.identity.process}`;
  }

  get actor(): Actor {
    return { machine: this.identity.machine.name, isAdmin: false };
  }

  /** Null: it is not registered. */
  get self(): Self | null {
    return this.edge.self;
  }

  /** It is registered, and requests get through as far as it knows. */
  get isUp(): boolean {
    const { state, self } = this.edge;
    return self !== null && (state === "connected" || state === "fallback");
  }

  get isRunning(): boolean {
    return this.isAlive && !this.isPaused && !this.identity.machine.isSuspended;
  }

  /** Runs now, or when the process goes on; never when it is dead. */
  deliver(work: () => boolean | void): boolean | void {
    if (!this.isAlive) return false;
    if (!this.isRunning) return void this.#backlog.push(work);
    this.touch();
    return work();
  }

  /** What follows from promises is done before the next event. */
  touch(): void {
    this.around.sim.touch();
    this.around.touched.add(this);
  }

  /** Unlike a message, a timer of a process that does not run is late. */
  later(ms: number, label: string, work: () => void): void {
    this.around.sim.later(ms, label, () => this.deliver(work));
  }

  /** Something that it does of its own accord. */
  run(work: () => Promise<unknown>): void {
    this.touch();
    void work().catch((error: unknown) => this.around.sim.broke(error));
  }

  /** Goes on after a pause or a suspend. */
  goOn(): void {
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const work of backlog) this.around.sim.later(0, "comes late", () => this.deliver(work));
  }

  /** The process is gone. Whether the host sees its socket close is another matter. */
  die(): void {
    this.isAlive = false;
    this.#backlog = [];
    this.leasing.dropAll();
    this.working.dropAll();
  }

  /** It stops by itself. */
  end(): void {
    if (!this.isAlive) return;
    this.edge.close();
    this.die();
    this.around.ended(this);
  }

  /** It leaves: what it has is not its own any more from the moment it says so. */
  async leave(): Promise<void> {
    this.isLeaving = true;
    this.working.dropAll();
    await this.edge.leave(leaveTimeoutMs);
    this.end();
  }

  stamp(): Instant {
    return readClock(this.#clock);
  }

  trustedForMs(proof: Trust): number {
    return trustedForMs(proof, this.stamp());
  }

  newRequestId(): string {
    return `${this.identity.process}:${(this.#requests += 1)}`;
  }

  call<Name extends CallName>(name: Name, given: CallInput<Name>, deadlineMs?: number): Promise<Answer<Name>> {
    this.touch();
    return this.edge.call(name, given, deadlineMs);
  }

  /** A call whose answer nobody waits for. */
  send<Name extends CallName>(name: Name, given: CallInput<Name>): void {
    this.run(() => this.call(name, given));
  }

  /** Sent once by another program of this chat, without the client, so that it may be without an id. */
  post<Name extends CallName>(name: Name, input: InputOf<Name>): void {
    const { network, front } = this.around;
    network.send(this, {
      serve: () => front.http({ name, url, input }, this.actor),
      onReply: () => undefined,
      onReset: () => undefined,
    });
  }

  /** The same of a frame of requests. A copy of it may arrive, too. */
  postFrame(calls: readonly Call[], onReplies: (replies: readonly Reply[]) => void = () => undefined): void {
    const { network, front } = this.around;
    network.send<readonly Reply[]>(this, {
      serve: () => front.batch(calls, this.actor),
      onReply: onReplies,
      onReset: () => undefined,
    });
  }

  async registerAgain(): Promise<void> {
    if (this.isUp) await this.#register();
  }

  async #register(): Promise<void> {
    const { chat, process, machine, isInteractive, skills } = this.identity;
    const registered = await this.edge.register({
      chat,
      session: `s-${chat}`,
      process,
      machine: machine.name,
      client: "sim",
      isInteractive,
      capabilities: [...skills.capabilities],
      capacity: skills.capacity,
      ...(skills.taskTypes ? { taskTypes: [...skills.taskTypes] } : {}),
    });
    if (registered.ok) {
      this.#refusals = 0;
      return;
    }
    if ((this.#refusals += 1) > mostRefusals) return this.end();
    const { retryAfterMs = 5_000 } = registered.error as { retryAfterMs?: number };
    this.later(Math.min(retryAfterMs, 10_000), "registers again", () => this.run(() => this.#register()));
  }

  #heard(event: EdgeEvent): void {
    if (!this.isAlive) return;
    const { sim } = this.around;
    if (event.type === "clock-jump") sim.count("clocks jumped");
    else if (event.type === "chat-lost") this.end();
    else if (event.type === "problem") sim.fail("client", `${this.name}: ${event.message}`);
    else if (event.type === "registered") this.#registered(event.incarnation);
    else this.leasing.heard(event);
  }

  #registered(incarnation: number): void {
    const isOther = this.#incarnation !== 0 && this.#incarnation !== incarnation;
    this.#incarnation = incarnation;
    if (isOther) this.working.dropAll();
    this.working.registered();
  }

  /** At each hint; what is lost is read at the next one. */
  #readMessages(): void {
    this.edge.onHint((hint) => {
      if (hint !== "task" && this.isRunning) this.run(() => this.#readPage());
    });
  }

  async #readPage(): Promise<void> {
    const pulled = await this.call("messages.pull", {});
    if (!pulled.ok || pulled.value.messages.length === 0) return;
    const ids = pulled.value.messages.map(({ id }) => id);
    for (const _ of ids) this.around.sim.count("message taken in");
    await this.call("messages.ack", { ids });
  }
}

/** What a chat takes. */
export interface Skills {
  readonly capabilities: readonly string[];
  readonly capacity: number;
  /** Undefined: it asks for itself. */
  readonly taskTypes?: readonly string[];
}

const abilities = [["gpu", "arm"], [], ["gpu"]] as const;
const capacities = [2, 1, 3, 4] as const;
const types = [["*"], ["*"], ["x", "y"], null] as const;

/** By the number of the chat, so that each of its processes is the same worker. */
export function skillsOf(place: number): Skills {
  const taskTypes = types[place % types.length];
  return {
    capabilities: abilities[place % abilities.length] ?? [],
    capacity: capacities[place % capacities.length] ?? 1,
    ...(taskTypes ? { taskTypes } : {}),
  };
}
