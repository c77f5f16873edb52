import type { OperationName, OutputOf } from "../../contract/operations.ts";
import type { Self } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { parseAddress, isToken } from "./address.ts";
import { atomicUpdate, type ValueUpdate, type UpdateOptions } from "./atomic-update.ts";
import { Calls, type CallOptions, type CallInput } from "./calls.ts";
import { Emitter, createEdgeEvents, type EdgeEvent, type ConnectionState, type Signal } from "./events.ts";
import type { EdgeError } from "./edge-error.ts";
import { LeaseAcquirer, type HoldOptions, type LeaseRequest, type LeadershipRequest } from "./lease-acquirer.ts";
import { Inbox, type MessageHandler } from "./inbox.ts";
import type { HeldLease, LeaseError, LeasePace } from "./held-lease.ts";
import { Connection } from "./connection.ts";
import type { Platform } from "./platform.ts";
import { Registration, type RegisteredChat, type ChatInput } from "./registration.ts";
import { EdgeWatch, type Watch, type WatchOptions } from "./state-watch.ts";

export interface EdgeOptions {
  readonly edge: string;
  readonly workspace: string;
  readonly token: string;
  /** http: no socket, for a command that calls once. auto: HTTP while no socket opens. */
  readonly transport?: "auto" | "http";
  readonly maxQueued?: number;
}

type ConnectionOperation = "chats.register" | "chats.unregister" | "state.watch" | "state.unwatch";
export type CallName = Exclude<OperationName, ConnectionOperation>;

const defaultMaxQueued = 200;
const registerTimeoutMs = 30_000;
const leasePace: LeasePace = { renewEveryMs: (ttlMs) => ttlMs / 2, pollEveryMs: 5_000 };

/** Connects at the first use, reconnects and repeats by itself; never throws for the network. */
export class EdgeClient {
  readonly #platform: Platform;
  readonly #events: Emitter<EdgeEvent>;
  readonly #signals: Emitter<Signal>;
  readonly #registration: Registration;
  readonly #connection: Connection;
  readonly #calls: Calls;
  readonly #leaseAcquirer: LeaseAcquirer;

  private constructor(connection: ConstructorParameters<typeof Connection>[0]) {
    const { platform } = connection;
    this.#platform = platform;
    this.#events = createEdgeEvents();
    this.#signals = new Emitter((message) => this.#events.emit({ type: "problem", message }));
    this.#registration = new Registration(platform, this.#events, this.#signals);
    this.#connection = new Connection(connection, this.#registration, this.#events, this.#signals);
    this.#calls = new Calls(platform, this.#connection, this.#registration);
    const deps = {
      platform,
      events: this.#events,
      registrationNumber: () => this.#registration.registrationNumber,
      lastPing: () => this.#connection.lastPing,
      pace: leasePace,
    };
    this.#leaseAcquirer = new LeaseAcquirer(this.#calls, deps, this.#signals);
    this.#signals.on((signal) => {
      if (signal.method === "closed") this.#registration.forget(signal.reason);
    });
  }

  static open(options: EdgeOptions, platform: Platform): Result<EdgeClient, string> {
    const { edge, workspace, token, transport = "auto", maxQueued = defaultMaxQueued } = options;
    const address = parseAddress(edge, workspace);
    if (!address.ok) return address;
    if (!isToken(token)) return err("the token of the coordinator is empty, or holds what no header can hold");
    return ok(new EdgeClient({ platform, address: address.value, token, isHttpOnly: transport === "http", maxQueued }));
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  get self(): Self | null {
    return this.#registration.self;
  }

  on(listener: (event: EdgeEvent) => void): () => void {
    return this.#events.on(listener);
  }

  connect(): void {
    this.#connection.start();
  }

  close(): void {
    this.#connection.close("closed by its user");
  }

  /** Fills in `self` and `requestId`. Only `outcome_unknown` and `bad_answer` leave it open. */
  async call<Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
    options?: CallOptions,
  ): Promise<Result<OutputOf<Name>, EdgeError>> {
    this.#connection.start();
    const { result } = await this.#calls.call(name, input, options);
    return result;
  }

  register(chat: ChatInput, deadlineMs = registerTimeoutMs): Promise<Result<RegisteredChat, EdgeError>> {
    if (this.state === "closed") return Promise.resolve(err({ code: "closed", message: "the client is closed" }));
    const registered = this.#registration.setChat(chat, deadlineMs);
    this.#connection.start();
    this.#connection.registerChat();
    return registered;
  }

  /** Frees everything the chat holds; it is not registered again, even if the request fails. */
  async unregister(): Promise<Result<OutputOf<"chats.unregister">, EdgeError>> {
    const { self } = this.#registration;
    if (!self) return notRegistered("chats.unregister");
    this.#registration.forget("unregistered");
    this.#leaseAcquirer.leave();
    const { result } = await this.#calls.call("chats.unregister", { self });
    return result;
  }

  hold(request: LeaseRequest, options: HoldOptions = {}): Promise<Result<HeldLease, LeaseError>> {
    const { self } = this;
    return self ? this.#leaseAcquirer.hold(self, request, options) : Promise.resolve(notRegistered("leases.acquire"));
  }

  lead(request: LeadershipRequest, options: HoldOptions = {}): Promise<Result<HeldLease, LeaseError>> {
    const { self } = this;
    return self
      ? this.#leaseAcquirer.lead(self, request, options)
      : Promise.resolve(notRegistered("elections.campaign"));
  }

  /** Survives interruptions. End it with `close()`, or by leaving the loop over it. */
  watch(options: WatchOptions = {}): Watch {
    this.#connection.start();
    const { platform, calls, connection, signals } = this.#internals();
    return new EdgeWatch({ platform, calls, connection, signals }, calls.newId(), options);
  }

  inbox(onMessage: MessageHandler): () => void {
    const { platform, calls, signals } = this.#internals();
    const hasChat = (): boolean => this.self !== null;
    const inbox = new Inbox({ platform, calls, events: this.#events, signals, hasChat }, onMessage);
    return () => inbox.close();
  }

  /** [EC22] Only a hint: a claim, a heartbeat or a pull reads the content. @returns unsubscribes */
  onHint(listener: (hint: "task" | "message" | "any") => void): () => void {
    return this.#signals.on(({ method }) => {
      if (method === "tasks.new") listener("task");
      else if (method === "messages.new" || method === "unread") listener("message");
      else if (method === "registered") listener("any");
    });
  }

  atomicUpdate(
    key: string,
    change: ValueUpdate,
    options?: UpdateOptions,
  ): Promise<Result<{ readonly version: number | null }, EdgeError>> {
    return atomicUpdate<EdgeError>(
      (name, input) => this.call(name, input as never),
      this.#platform,
      key,
      change,
      options,
    );
  }

  #internals(): { platform: Platform; calls: Calls; connection: Connection; signals: Emitter<Signal> } {
    return { platform: this.#platform, calls: this.#calls, connection: this.#connection, signals: this.#signals };
  }
}

function notRegistered(name: string): Result<never, EdgeError> {
  return err({ code: "not_registered", message: `${name} needs a registered chat` });
}
