import { hostname } from "node:os";
import type { Self } from "../contract/values.ts";
import { version } from "../contract/version.ts";
import type { LocalCalls, Runtime } from "../runtime/runtime.ts";
import { err, ok, type Result, fail } from "../shared/result.ts";
import type { Store } from "../store/store.ts";
import { type Call, Calls, type PrepareInput } from "./edge/calls.ts";
import { localWorkspace, readEdgeConfig, type EdgeWorkspace } from "./edge-config.ts";
import { isToken, parseAddress } from "./edge/address.ts";
import {
  Connection,
  type ClientConnection,
  Registration,
  type ChatInput,
  type RegisteredChat,
} from "./edge/connection.ts";
import { EdgeEvents, type ConnectionState, type EdgeEvent } from "./edge/events.ts";
import { newId, within, type Platform } from "./edge/platform.ts";
import { EdgeSockets } from "./edge/socket.ts";
import { StateWatch, type OnChanges } from "./edge/state-watch.ts";
import { LocalConnection, callsOf, LocalCoordinator } from "./local/local-coordinator.ts";
import { createLocalStore } from "./local/local-store.ts";
import { openCoordinators, type OpenCoordinator } from "./local/open-coordinators.ts";

/** task: a task that may be free, or the end of one that the chat has; any: check everything. */
export type HintKind = "task" | "message" | "any";

/** A workspace's coordinator, in this process or over the network; never throws for either. */
export type CoordinatorClient = Pick<
  WorkspaceClient,
  "self" | "register" | "call" | "onHint" | "onSyncHint" | "onLost" | "onChanges" | "leave" | "close"
>;

export interface EdgeOptions {
  readonly edge: string;
  readonly workspace: string;
  readonly token: string;
  /** For the operations of an admin; default: `token`. */
  readonly adminToken?: string | undefined;
  /** chat: before a chat or a watch needs a connection each call is sent once, over HTTP. */
  readonly connectsFor?: "call" | "chat";
  readonly prepareInput?: PrepareInput | undefined;
  /** Ends requests over HTTP. */
  readonly signal?: AbortSignal;
}

type Connect = (registration: Registration, events: EdgeEvents) => ClientConnection;

const registerTimeoutMs = 30_000;

/** Connects at the first use, reconnects and repeats by itself. */
export class WorkspaceClient {
  readonly #platform: LocalPlatform;
  readonly #connectsForCalls: boolean;
  readonly #events = new EdgeEvents();
  readonly #registration: Registration;
  readonly #connection: ClientConnection;
  readonly #calls: Calls;

  private constructor(
    platform: LocalPlatform,
    connect: Connect,
    connectsForCalls: boolean,
    prepareInput?: PrepareInput,
  ) {
    const events = this.#events;
    this.#platform = platform;
    this.#connectsForCalls = connectsForCalls;
    this.#registration = new Registration(platform, events);
    this.#connection = connect(this.#registration, events);
    const parts = { platform, connection: this.#connection, registration: this.#registration, events, prepareInput };
    this.#calls = new Calls(parts);
    this.#events.on((event) => {
      if (event.type === "state" && event.state === "closed") this.#registration.forget(event.reason);
    });
  }

  static open(
    { edge, workspace, token, adminToken, connectsFor, prepareInput, signal }: EdgeOptions,
    platform: Platform,
    sockets = new EdgeSockets(),
  ): Result<WorkspaceClient, string> {
    const address = parseAddress(edge, workspace);
    if (!address.ok) return address;
    if (!isToken(token)) return err("the coordinator's token is empty, or has characters that a header cannot hold");
    const options = { platform, sockets, address: address.value, token, adminToken, signal };
    const connect: Connect = (...deps) => new Connection(options, ...deps);
    return ok(new WorkspaceClient(platform, connect, connectsFor !== "chat", prepareInput));
  }

  /** The coordinator of this machine. */
  static openLocal(coordinator: LocalCalls, platform: LocalPlatform, prepareInput?: PrepareInput): WorkspaceClient {
    const connect: Connect = (registration, events) =>
      new LocalConnection({ coordinator, platform, registration, events });
    return new WorkspaceClient(platform, connect, false, prepareInput);
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Null before the first registration, and when the chat is lost. */
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

  /** Only `outcome_unknown` and `bad_answer` leave open what has happened. */
  readonly call: Call = async (name, input, deadlineMs) => {
    if (this.#connectsForCalls) this.#connection.start();
    return this.#calls.call(name, input, deadlineMs);
  };

  /** Registers the chat, and again whenever the coordinator counts it as gone. */
  register(chat: ChatInput, deadlineMs = registerTimeoutMs): Promise<Result<RegisteredChat>> {
    if (this.state === "closed") return Promise.resolve(fail("closed", "the client is closed"));
    const metadata = { version, ...chat.metadata };
    const registered = this.#registration.setChat({ ...chat, metadata }, deadlineMs);
    this.#connection.start();
    this.#connection.registerChat();
    return registered;
  }

  /** Frees everything the chat holds; it is not registered again, even if the request fails. */
  async leave(timeoutMs: number): Promise<void> {
    const { self } = this;
    if (!self) return;
    this.#registration.forget("unregistered");
    await within(this.#platform, timeoutMs, this.#calls.call("chats.unregister", { self }));
  }

  /**
   * Changes below a prefix, in order, over all interruptions; null: read everything again (first,
   * and after a gap); empty: rows changed which are not state, such as tasks below `$task/`.
   *
   * @returns ends it
   */
  onChanges(prefix: string, onChanges: OnChanges): () => void {
    this.#connection.start();
    const deps = { platform: this.#platform, calls: this.#calls, connection: this.#connection, events: this.#events };
    const watch = new StateWatch(deps, newId(this.#platform), prefix, onChanges);
    return () => watch.close();
  }

  /**
   * A claim, a heartbeat or a pull reads what it is about.
   * @returns unsubscribes
   */
  onHint(listener: (hint: HintKind) => void): () => void {
    return this.#events.on((event) => {
      if (event.type === "unread") listener("message");
      else if (event.type === "registered" || event.type === "changed") listener("any");
      else if (event.type !== "notified") return;
      else if (event.notification.method === "tasks.new") listener("task");
      else if (event.notification.method === "messages.new") listener("message");
    });
  }

  /** Another machine stored sessions, or one may be taken over. @returns unsubscribes */
  onSyncHint(listener: (isDeath: boolean) => void): () => void {
    return this.#events.on((event) => {
      if (event.type !== "notified" || event.notification.method !== "sync.changed") return;
      listener(event.notification.params.isDeath);
    });
  }

  /** Another process owns the chat, or the coordinator refuses for good. @returns unsubscribes */
  onLost(listener: (reason: string) => void): () => void {
    return this.#events.on((event) => {
      if (event.type === "chat-lost") listener(event.error.message);
      if (event.type === "state" && event.state === "closed") listener(event.reason);
    });
  }
}

type LocalPlatform = Pick<Platform, "clock" | "setTimer" | "random">;

type CoordinatorRuntime = Pick<Runtime, "paths" | "store" | "processes" | "now">;

/** The coordinator of a home, which all users in a process share. */
export function openLocalCoordinator({
  paths,
  store,
  processes,
  now,
}: CoordinatorRuntime): Omit<OpenCoordinator, "uses"> {
  const { home } = paths;
  const open = (): OpenCoordinator => {
    const { driver, busyMs } = store.context;
    const own = createLocalStore({ home, driver, now, busyMs });
    const coordinator = new LocalCoordinator({ store: own, processes, machine: hostname(), now });
    return { coordinator, close: () => own.close(), uses: 0 };
  };
  const shared = openCoordinators.get(home) ?? open();
  openCoordinators.set(home, shared);
  shared.uses += 1;
  let isOpen = true;
  const close = (): void => {
    if (isOpen) shared.uses -= 1;
    isOpen = false;
    if (shared.uses > 0) return;
    openCoordinators.delete(home);
    shared.close();
  };
  return { coordinator: shared.coordinator, close };
}

export interface OpenedLink {
  readonly link: CoordinatorClient;
  readonly workspace: string;
  readonly machine: string;
  /** Edge whose operator can read what is sent; null: this machine's own file. */
  readonly edge: EdgeWorkspace | null;
}

const sockets = new WeakMap<Store, EdgeSockets>();

/** Sockets of the process that opened the store. */
function socketsOf(store: Store): EdgeSockets {
  const known = sockets.get(store) ?? new EdgeSockets();
  sockets.set(store, known);
  return known;
}

export function openLink(runtime: Runtime, platform: Platform): Result<OpenedLink, string> {
  const edge = readEdgeConfig(runtime.paths.home, runtime.env);
  if (!edge.ok) return edge;
  if (edge.value === null) {
    const { client, machine } = openLocalClient(runtime, platform);
    return ok({ link: client, workspace: localWorkspace, machine, edge: null });
  }
  const { url, workspace, token, machine } = edge.value;
  const client = WorkspaceClient.open({ edge: url, workspace, token }, platform, socketsOf(runtime.store));
  if (!client.ok) return err(client.error);
  return ok({ link: client.value, workspace, machine, edge: { url, workspace } });
}

export function openLocalClient(
  runtime: Runtime,
  platform: LocalPlatform,
  prepareInput?: PrepareInput,
): { readonly client: WorkspaceClient; readonly machine: string } {
  const calls = runtime.localCalls?.() ?? callsInProcess(runtime);
  const client = WorkspaceClient.openLocal(calls, platform, prepareInput);
  return { client, machine: hostname() };
}

/** For the process that is the host. */
export function callsInProcess(runtime: CoordinatorRuntime): LocalCalls {
  const { coordinator, close } = openLocalCoordinator(runtime);
  return callsOf(coordinator, close);
}
