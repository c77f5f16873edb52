import type { CallError } from "../contract/errors.ts";
import type { Message } from "../contract/messages.ts";
import type { OutputOf } from "../contract/operations.ts";
import type { Self } from "../contract/values.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Call, CoordinatorClient, HintKind } from "./coordinator-client.ts";
import { within, type Platform } from "./edge/platform.ts";
import type { LocalCalls } from "../runtime/local-calls.ts";
import { LocalConnection } from "./local/local-connection.ts";
import { parseAddress, isToken } from "./edge/address.ts";
import { atomicUpdate, type ValueUpdate, type UpdateOptions } from "./edge/atomic-update.ts";
import { Calls, type PrepareInput } from "./edge/calls.ts";
import type { ChangeFeeds, OnChanges } from "./edge/change-feeds.ts";
import type { ClientConnection } from "./edge/client-connection.ts";
import { Connection } from "./edge/connection.ts";
import { Emitter, createEdgeEvents, type EdgeEvent, type ConnectionState, type Signal } from "./edge/events.ts";
import type { HeldLease } from "./edge/held-lease.ts";
import { Inbox, type MessageHandler } from "./edge/inbox.ts";
import { LeaseAcquirer, type HoldOptions, type LeaseRequest, type LeadershipRequest } from "./edge/lease-acquirer.ts";
import { Registration, type RegisteredChat, type ChatInput } from "./edge/registration.ts";
import { EdgeWatch, type Watch, type WatchOptions } from "./edge/state-watch.ts";
import { SharedLinks } from "./shared-links.ts";

/** [DO56] Hints at rows, by the prefix for which they are sent. */
const rowHints: Readonly<Record<string, string>> = { "$task/": "tasks.changed", "$message/": "messages.changed" };

export interface EdgeOptions {
  readonly edge: string;
  readonly workspace: string;
  readonly token: string;
  /** For the operations of an admin; default: `token`. */
  readonly adminToken?: string | undefined;
  /** http: without a socket. auto: HTTP while no socket opens. */
  readonly transport?: "auto" | "http";
  /** chat: before a chat or a watch needs a connection each call is sent once, over HTTP. */
  readonly connectsFor?: "call" | "chat";
  readonly maxQueued?: number;
  readonly prepareInput?: PrepareInput | undefined;
  /** Ends requests over HTTP. */
  readonly signal?: AbortSignal;
}

interface ClientOptions {
  /** Names the coordinator among those of the process. */
  readonly workspace: string;
  readonly feeds: ChangeFeeds;
  readonly connectsForCalls: boolean;
  readonly prepareInput: PrepareInput | undefined;
}

type Connect = (registration: Registration, events: Emitter<EdgeEvent>, signals: Emitter<Signal>) => ClientConnection;

const defaultMaxQueued = 200;
const registerTimeoutMs = 30_000;

/** Connects at the first use, reconnects and repeats by itself. */
export class WorkspaceClient implements CoordinatorClient {
  readonly #platform: LocalPlatform;
  readonly #workspace: string;
  readonly #feeds: ChangeFeeds;
  readonly #connectsForCalls: boolean;
  readonly #events: Emitter<EdgeEvent>;
  readonly #signals: Emitter<Signal>;
  readonly #registration: Registration;
  readonly #connection: ClientConnection;
  readonly #calls: Calls;
  readonly #leaseAcquirer: LeaseAcquirer;

  private constructor(
    platform: LocalPlatform,
    connect: Connect,
    { workspace, feeds, connectsForCalls, prepareInput }: ClientOptions,
  ) {
    this.#platform = platform;
    this.#workspace = workspace;
    this.#feeds = feeds;
    this.#connectsForCalls = connectsForCalls;
    this.#events = createEdgeEvents();
    this.#signals = new Emitter((message) => this.#events.emit({ type: "problem", message }));
    this.#registration = new Registration(platform, this.#events, this.#signals);
    this.#connection = connect(this.#registration, this.#events, this.#signals);
    this.#calls = new Calls(platform, this.#connection, this.#registration, prepareInput);
    const deps = {
      platform,
      events: this.#events,
      registrationNumber: () => this.#registration.registrationNumber,
      lastPing: () => this.#connection.lastPing,
      maxRenewMs: this.#connection.maxRenewMs,
    };
    this.#leaseAcquirer = new LeaseAcquirer(this.#calls, deps, this.#signals);
    this.#signals.on((signal) => {
      if (signal.method === "closed") this.#registration.forget(signal.reason);
    });
  }

  static open(
    options: EdgeOptions,
    platform: Platform,
    { sockets, feeds } = new SharedLinks(),
  ): Result<WorkspaceClient, string> {
    const { edge, workspace, token, adminToken, transport = "auto", maxQueued = defaultMaxQueued } = options;
    const address = parseAddress(edge, workspace);
    if (!address.ok) return address;
    if (!isToken(token)) return err("the coordinator's token is empty, or has characters that a header cannot hold");
    const isHttpOnly = transport === "http";
    const connection = {
      platform,
      sockets,
      address: address.value,
      token,
      adminToken,
      isHttpOnly,
      maxQueued,
      signal: options.signal,
    };
    const connect: Connect = (...deps) => new Connection(connection, ...deps);
    const connectsForCalls = options.connectsFor !== "chat";
    const { prepareInput } = options;
    const key = `${address.value.http} ${token}`;
    return ok(new WorkspaceClient(platform, connect, { workspace: key, feeds, connectsForCalls, prepareInput }));
  }

  /** The coordinator of this machine. */
  static openLocal(
    coordinator: LocalCalls,
    platform: LocalPlatform,
    prepareInput?: PrepareInput,
    { feeds } = new SharedLinks(),
  ): WorkspaceClient {
    const connect: Connect = (registration, _events, signals) =>
      new LocalConnection(coordinator, platform, registration, signals);
    return new WorkspaceClient(platform, connect, { workspace: "", feeds, connectsForCalls: false, prepareInput });
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

  readonly call: Call = async (name, input, deadlineMs) => {
    if (this.#connectsForCalls) this.#connection.start();
    const { result } = await this.#calls.call(name, input, deadlineMs === undefined ? {} : { deadlineMs });
    return result;
  };

  register(chat: ChatInput, deadlineMs = registerTimeoutMs): Promise<Result<RegisteredChat, CallError>> {
    if (this.state === "closed") return Promise.resolve(err({ code: "closed", message: "the client is closed" }));
    const registered = this.#registration.setChat(chat, deadlineMs);
    this.#connection.start();
    this.#connection.registerChat();
    return registered;
  }

  async unregister(): Promise<Result<OutputOf<"chats.unregister">, CallError>> {
    const { self } = this.#registration;
    if (!self) return notRegistered("chats.unregister");
    this.#registration.forget("unregistered");
    this.#leaseAcquirer.leave();
    const { result } = await this.#calls.call("chats.unregister", { self });
    return result;
  }

  async leave(timeoutMs: number): Promise<void> {
    await within(this.#platform, timeoutMs, this.unregister());
  }

  hold(request: LeaseRequest, options: HoldOptions = {}): Promise<Result<HeldLease, CallError>> {
    const { self } = this;
    return self ? this.#leaseAcquirer.hold(self, request, options) : Promise.resolve(notRegistered("leases.acquire"));
  }

  lead(request: LeadershipRequest, options: HoldOptions = {}): Promise<Result<HeldLease, CallError>> {
    const { self } = this;
    return self
      ? this.#leaseAcquirer.lead(self, request, options)
      : Promise.resolve(notRegistered("elections.campaign"));
  }

  watch(options: WatchOptions = {}): Watch {
    this.#connection.start();
    const deps = { platform: this.#platform, calls: this.#calls, connection: this.#connection, signals: this.#signals };
    return new EdgeWatch(deps, this.#calls.newId(), options);
  }

  onChanges(prefix: string, onChanges: OnChanges): () => void {
    this.#connection.start();
    return this.#feeds.follow(this.#workspace, prefix, {
      onChanges,
      watch: (start) => this.watch(start),
      onRows: (listener) => this.#signals.on(({ method }) => void (method === rowHints[prefix] && listener())),
    });
  }

  inbox(onMessage: MessageHandler): () => void {
    const hasChat = (): boolean => this.self !== null;
    const parts = { platform: this.#platform, calls: this.#calls, events: this.#events, signals: this.#signals };
    const inbox = new Inbox({ ...parts, hasChat }, onMessage);
    return () => inbox.close();
  }

  onHint(listener: (hint: HintKind, message?: Message) => void): () => void {
    return this.#signals.on((signal) => {
      const { method } = signal;
      if (method === "tasks.new") listener("task");
      else if (method === "messages.new") listener("message", signal.params.message);
      else if (method === "unread") listener("message");
      else if (method === "registered" || method === "changed") listener("any");
    });
  }

  onSyncHint(listener: (isDeath: boolean) => void): () => void {
    return this.#signals.on((signal) => {
      if (signal.method === "sync.changed") listener(signal.params.isDeath);
    });
  }

  onLost(listener: (reason: string) => void): () => void {
    return this.#events.on((event) => {
      if (event.type === "chat-lost") listener(event.error.message);
      if (event.type === "state" && event.state === "closed") listener(event.reason);
    });
  }

  atomicUpdate(
    key: string,
    change: ValueUpdate,
    options?: UpdateOptions,
  ): Promise<Result<{ readonly version: number | null }, CallError>> {
    return atomicUpdate<CallError>(
      (name, input) => this.call(name, input as never),
      this.#platform,
      key,
      change,
      options,
    );
  }
}

export type LocalPlatform = Pick<Platform, "clock" | "setTimer" | "random">;

function notRegistered(name: string): Result<never, CallError> {
  return err({ code: "not_registered", message: `${name} needs a registered chat` });
}
