import type { OperationName, OutputOf } from "../../contract/operations.ts";
import type { Self } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { addressOf, isToken } from "./address.ts";
import { atomicUpdate, type Change, type UpdateOptions } from "./atomic-update.ts";
import { Calls, type CallOptions, type Given } from "./calls.ts";
import { Emitter, eventsOf, type EdgeEvent, type LinkState, type Signal } from "./events.ts";
import type { EdgeError } from "./failure.ts";
import { Holder, type HoldOptions, type WantedLease, type WantedTerm } from "./held.ts";
import { Inbox, type TakeMessage } from "./inbox.ts";
import type { Right } from "./kept-right.ts";
import { Link } from "./link.ts";
import type { Outside } from "./outside.ts";
import { Registration, type Registered, type Wanted } from "./registration.ts";
import { EdgeWatch, type Watch, type WatchOptions } from "./watch.ts";

export interface EdgeOptions {
  /** Of the coordinator, such as `https://shim.example.com`; plain http only to this machine. */
  readonly edge: string;
  readonly workspace: string;
  readonly token: string;
  /** auto: a socket, and HTTP where none opens; http: without a socket, for a command that asks once. */
  readonly transport?: "auto" | "http";
  /** Calls that may wait for a connection at the same time. */
  readonly maxQueued?: number;
}

/** What is asked by a method of its own, since it concerns a connection. */
type OwnName = "chats.register" | "chats.unregister" | "state.watch" | "state.unwatch";
export type CallName = Exclude<OperationName, OwnName>;

const usualQueue = 200;
const registerWithinMs = 30_000;

/**
 * A coordinator on the edge, as one chat or one command sees it. It connects at the first use, comes back by itself, and repeats what was not
 * answered; nothing of it throws for what the network or the coordinator does.
 */
export class EdgeClient {
  readonly #outside: Outside;
  readonly #events: Emitter<EdgeEvent>;
  readonly #signals: Emitter<Signal>;
  readonly #registration: Registration;
  readonly #link: Link;
  readonly #calls: Calls;
  readonly #holder: Holder;

  private constructor(link: ConstructorParameters<typeof Link>[0]) {
    const { outside } = link;
    this.#outside = outside;
    this.#events = eventsOf();
    this.#signals = new Emitter((message) => this.#events.emit({ type: "problem", message }));
    this.#registration = new Registration(outside, this.#events, this.#signals);
    this.#link = new Link(link, this.#registration, this.#events, this.#signals);
    this.#calls = new Calls(outside, this.#link, this.#registration);
    const around = {
      outside,
      events: this.#events,
      life: () => this.#registration.life,
      lastPing: () => this.#link.lastPing,
    };
    this.#holder = new Holder(this.#calls, around, this.#signals);
    this.#signals.on((signal) => {
      if (signal.method === "closed") this.#registration.forget(signal.reason);
    });
  }

  /** @returns else what is wrong with the options, without the token and without the address */
  static open(options: EdgeOptions, outside: Outside): Result<EdgeClient, string> {
    const { edge, workspace, token, transport = "auto", maxQueued = usualQueue } = options;
    const address = addressOf(edge, workspace);
    if (!address.ok) return address;
    if (!isToken(token)) return err("the token of the coordinator is empty, or holds what no header can hold");
    return ok(new EdgeClient({ outside, address: address.value, token, isHttpOnly: transport === "http", maxQueued }));
  }

  get state(): LinkState {
    return this.#link.state;
  }

  /** Null before the first registration, and when the chat is lost. */
  get self(): Self | null {
    return this.#registration.self;
  }

  /** How the client is, from now on. @returns ends it */
  on(listener: (event: EdgeEvent) => void): () => void {
    return this.#events.on(listener);
  }

  /** Connects now, and not at the first use. */
  connect(): void {
    this.#link.start();
  }

  /** For ever: nothing is renewed, registered or repeated any more. The coordinator sees the chat go. */
  close(): void {
    this.#link.close("closed by its user");
  }

  /**
   * Asks the coordinator. `self` and `requestId` are filled in where they are left out.
   *
   * @returns a refusal of the coordinator, or why there is no answer; `outcome_unknown` alone may have happened
   */
  async call<Name extends CallName>(
    name: Name,
    given: Given<Name>,
    options?: CallOptions,
  ): Promise<Result<OutputOf<Name>, EdgeError>> {
    this.#link.start();
    const { result } = await this.#calls.call(name, given, options);
    return result;
  }

  /** This client's chat from now on, registered again on each connection. One chat at a time. */
  register(wanted: Wanted, deadlineMs = registerWithinMs): Promise<Result<Registered, EdgeError>> {
    if (this.state === "closed") return Promise.resolve(err({ code: "closed", message: "the client is closed" }));
    const registered = this.#registration.want(wanted, deadlineMs);
    this.#link.start();
    this.#link.admit();
    return registered;
  }

  /** The chat leaves; all that it holds is free at once. It is not registered again, whatever becomes of the request. */
  async unregister(): Promise<Result<OutputOf<"chats.unregister">, EdgeError>> {
    const { self } = this.#registration;
    if (!self) return notRegistered("chats.unregister");
    this.#registration.forget("unregistered");
    const { result } = await this.#calls.call("chats.unregister", { self });
    return result;
  }

  /** Takes a lease, standing in line for it up to `waitMs`, and keeps it. */
  hold(wanted: WantedLease, options: HoldOptions = {}): Promise<Result<Right, EdgeError>> {
    const { self } = this;
    return self ? this.#holder.hold(self, wanted, options) : Promise.resolve(notRegistered("leases.acquire"));
  }

  /** Becomes the leader, standing in line for it up to `waitMs`, and stays so. */
  lead(wanted: WantedTerm, options: HoldOptions = {}): Promise<Result<Right, EdgeError>> {
    const { self } = this;
    return self ? this.#holder.lead(self, wanted, options) : Promise.resolve(notRegistered("elections.campaign"));
  }

  /** What happens below a prefix, over all interruptions. End it with `close()`, or by leaving the loop over it. */
  watch(options: WatchOptions = {}): Watch {
    this.#link.start();
    const { outside, calls, link, signals } = this.#parts();
    return new EdgeWatch({ outside, calls, link, signals }, calls.newId(), options);
  }

  /** Messages of this client's chat. @returns ends it */
  inbox(take: TakeMessage): () => void {
    const { outside, calls, signals } = this.#parts();
    const hasChat = (): boolean => this.self !== null;
    const inbox = new Inbox({ outside, calls, events: this.#events, signals, hasChat }, take);
    return () => inbox.close();
  }

  /** [EC22] A task or a message may be there for this client's chat, or a task that it has be cancelled: a claim, a heartbeat, a pull tells. @returns ends it */
  onNews(listener: (news: "task" | "message" | "any") => void): () => void {
    return this.#signals.on(({ method }) => {
      if (method === "tasks.new") listener("task");
      else if (method === "messages.new" || method === "unread") listener("message");
      else if (method === "registered") listener("any");
    });
  }

  /** See {@link atomicUpdate}. */
  atomicUpdate(
    key: string,
    change: Change,
    options?: UpdateOptions,
  ): Promise<Result<{ readonly version: number | null }, EdgeError>> {
    return atomicUpdate<EdgeError>(
      (name, input) => this.call(name, input as never),
      this.#outside,
      key,
      change,
      options,
    );
  }

  #parts(): { outside: Outside; calls: Calls; link: Link; signals: Emitter<Signal> } {
    return { outside: this.#outside, calls: this.#calls, link: this.#link, signals: this.#signals };
  }
}

function notRegistered(name: string): Result<never, EdgeError> {
  return err({ code: "not_registered", message: `${name} needs a registered chat` });
}
