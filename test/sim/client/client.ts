import type { CallInput, CallName, InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import type { EdgeEvent } from "#src/coordinator-client/edge/events.ts";
import type { Result } from "#src/shared/result.ts";
import { type Machine, platformOf, type SimSocket } from "../host/wire.ts";
import type { World } from "../days.ts";
import { Leasing, Watching } from "./leasing.ts";
import { Working } from "./working.ts";

export interface Habits {
  forgets: number;
  bound: number;
  /** Share of the steps of work after which a task is dropped without a word. */
  neglects: number;
  /** A process finishes at once whatever it has taken. */
  isNight: boolean;
}

interface Identity {
  readonly chat: string;
  readonly machine: Machine;
  /** Boot, pid and start time in one. */
  readonly process: string;
  readonly hasSockets: boolean;
  readonly capacity: number;
}

export type Answer<Name extends CallName> = Result<OutputOf<Name>>;

const url = "https://edge.example";
/** Registrations that are refused in a row before the process ends, as another one works as its chat. */
const mostRefusals = 12;
/** Share of the processes whose sockets open; the others use HTTP alone. */
const socketShare = 0.6;

const abilities = [["gpu", "arm"], [], ["gpu"]] as const;
const capacities = [2, 1, 3, 4] as const;
/** Null: the chat asks for its tasks. */
const types = [["*"], ["*"], ["x", "y"], null] as const;

export const chatName = (index: number): string => `c${index}`;

/** One process that works as a chat through the shipped client. */
export class Client {
  readonly identity: Identity;
  readonly world: World;
  readonly edge: WorkspaceClient;
  readonly leasing: Leasing;
  readonly watching: Watching;
  readonly working: Working;
  isAlive = true;
  isPaused = false;
  isCut = false;
  /** It has announced that it leaves, and begins nothing more. */
  isLeaving = false;
  socket: SimSocket | null = null;
  readonly #registration: InputOf<"chats.register">;
  #requests = 0;
  #refusals = 0;
  #incarnation = 0;
  #backlog: (() => boolean | void)[] = [];

  constructor(world: World, index: number, machine: Machine, process: string) {
    const { rng } = world.sim;
    this.world = world;
    const [chat, capacity] = [chatName(index), capacities[index % capacities.length] ?? 1];
    this.identity = { chat, machine, process, hasSockets: rng.chance(socketShare), capacity };
    // Each process of a chat is the same worker.
    const taskTypes = types[index % types.length];
    const capabilities = [...(abilities[index % abilities.length] ?? [])];
    const able = { capabilities, capacity, ...(taskTypes ? { taskTypes: [...taskTypes] } : {}) };
    const about = { machine: machine.name, client: "sim", isInteractive: index % 2 === 0 };
    this.#registration = { chat, session: `s-${chat}`, process, ...about, ...able };
    const platform = platformOf(this);
    const opened = WorkspaceClient.open({ edge: url, workspace: "sim", token: "shim_t" }, platform);
    if (!opened.ok) throw new Error(opened.error);
    this.edge = opened.value;
    this.leasing = new Leasing(this, platform);
    this.working = new Working(this);
    this.watching = new Watching(this);
    const readsMessages = rng.chance(0.5);
    this.edge.on((event) => this.#handle(event));
    this.edge.onHint((hint) => {
      if (hint === "task") this.working.hinted();
      // A page that is lost is read at the next hint.
      else if (readsMessages && this.isRunning) this.run(() => this.#readPage());
    });
    this.run(() => this.#register());
    this.watching.follow();
  }

  get name(): string {
    return `${this.identity.chat}/${this.identity.process}`;
  }

  get actor(): Actor {
    return { machine: this.identity.machine.name, isAdmin: false };
  }

  get self(): Self | null {
    return this.edge.self;
  }

  /** It is registered, and requests get through as far as it knows. */
  get isUp(): boolean {
    const { state, self } = this.edge;
    return self !== null && (state === "connected" || state === "fallback");
  }

  get isRunning(): boolean {
    return this.isAlive && !this.isPaused && !this.identity.machine.isAsleep;
  }

  /** Runs now, or when the process goes on; never when it is dead. */
  deliver(work: () => boolean | void): boolean | void {
    if (!this.isAlive) return false;
    if (!this.isRunning) return void this.#backlog.push(work);
    this.#touch();
    return work();
  }

  #touch(): void {
    this.world.sim.touch();
    this.world.touched.add(this);
  }

  later(ms: number, label: string, work: () => void): void {
    this.world.sim.later(ms, label, () => this.deliver(work));
  }

  run(work: () => Promise<unknown>): void {
    this.#touch();
    void work().catch((error: unknown) => this.world.sim.broke(error));
  }

  goOn(): void {
    for (const work of this.#backlog.splice(0)) this.world.sim.later(0, "comes late", () => this.deliver(work));
  }

  die(): void {
    this.isAlive = false;
    this.#backlog = [];
    this.leasing.dropAll();
    this.working.dropAll();
  }

  #end(): void {
    if (!this.isAlive) return;
    this.edge.close();
    this.die();
    this.world.ended(this);
  }

  /** Its leases and tasks are free from the moment it says so. */
  async leave(): Promise<void> {
    this.isLeaving = true;
    this.working.dropAll();
    this.leasing.leave();
    await this.edge.leave(60_000);
    this.#end();
  }

  newRequestId(): string {
    return `${this.identity.process}:${(this.#requests += 1)}`;
  }

  call<Name extends CallName>(name: Name, given: CallInput<Name>): Promise<Answer<Name>> {
    this.#touch();
    return this.edge.call(name, given);
  }

  send<Name extends CallName>(name: Name, given: CallInput<Name>): void {
    this.run(() => this.call(name, given));
  }

  get isRefused(): boolean {
    return this.#refusals > 0;
  }

  async registerAgain(): Promise<void> {
    if (this.isUp) await this.#register();
  }

  /** Asks again until it is registered, or ends: an earlier process of its session may still count as there. */
  async #register(): Promise<void> {
    const registered = await this.edge.register(this.#registration);
    if (registered.ok) return void (this.#refusals = 0);
    if ((this.#refusals += 1) > mostRefusals) return this.#end();
    const { retryAfterMs = 5_000 } = registered.error as { retryAfterMs?: number };
    this.later(Math.min(retryAfterMs, 10_000), "registers again", () => this.run(() => this.#register()));
  }

  #handle(event: EdgeEvent): void {
    if (!this.isAlive) return;
    const { sim } = this.world;
    if (event.type === "clock-jump") sim.count("clocks jumped");
    else if (event.type === "chat-lost") this.#end();
    else if (event.type === "problem") sim.fail("client", `${this.name}: ${event.message}`);
    else if (event.type === "registered") {
      const { incarnation } = event;
      if (this.#incarnation !== 0 && this.#incarnation !== incarnation) this.working.dropAll();
      this.#incarnation = incarnation;
      this.working.registered();
    }
  }

  async #readPage(): Promise<void> {
    const pulled = await this.call("messages.pull", {});
    if (!pulled.ok || pulled.value.messages.length === 0) return;
    const ids = pulled.value.messages.map(({ id }) => id);
    this.world.sim.count("message received");
    await this.call("messages.ack", { ids });
  }
}
