import { byteLength, lostOutcome, type SendRequest, type RequestOutcome } from "./outcomes.ts";
import { maxFrameInputBytes, maxPingIntervalMs } from "../../contract/protocol.ts";
import { closeCodes } from "../../contract/sockets.ts";
import type { Operation } from "../../contract/operation.ts";
import { operations, type OperationName, type InputOf, type OutputOf } from "../../contract/operations.ts";
import { endOf, isTransient, isRefusal, isRetryable, retryOf, type Failure } from "../../contract/errors.ts";
import type { Self } from "../../contract/values.ts";
import { fullJitter } from "../../shared/async-work.ts";
import type { Address } from "./address.ts";
import { isUp, type ConnectionState, type EdgeEvents } from "./events.ts";
import * as http from "./http-transport.ts";
import type { Platform } from "./platform.ts";
import type { Channel, EdgeSockets, SocketClose } from "./socket.ts";
import { elapsedMs, jumpedMs, readClock, type Instant } from "./trust.ts";
import { err, ok, type Result, fail } from "../../shared/result.ts";

const probeTimeoutMs = 10_000;
const heartbeatTimeoutMs = 10_000;
/** All clients return after a deploy; a coordinator forgives a closed socket for only 5 s. */
const reconnectBackoff = { baseMs: 500, capMs: 30_000 };
/** A connection that answers pings after this time counts as stable, in ms. */
const stableAfterMs = 5_000;
/** Retry the socket after `afterMs` plus up to `spreadMs` of jitter. */
const socketRetry = { afterMs: 15_000, spreadMs: 30_000 };

/** Pause after a flood, of either side. */
const afterFloodMs = 10_000;

/** Quick tries where a socket has opened before, so sockets are not blocked. */
const maxQuickTries = 4;

const httpOnlyOperation: OperationName = "tokens.create";

/** How a client reaches its coordinator: over a socket or HTTP, or in this process. */
export interface ClientConnection {
  readonly state: ConnectionState;
  /** Changes and grants are pushed; else they are polled. */
  readonly isPushing: boolean;
  /** Commits of others are signalled, whatever they change. */
  readonly signalsCommits: boolean;
  /** Changes with each interruption, and between socket and HTTP. */
  readonly generation: number;
  readonly send: SendRequest;
  /** Sends without a connection; null: there is one, or it is opened for the call. */
  readonly sendDirectly: SendRequest | null;
  start(): void;
  close(reason: string): void;
  notify(method: string, params: object): void;
  registerChat(): void;
  handleRefusal(self: Self | null, error: Failure): void;
  checkClocks(): void;
}

export interface ConnectionOptions {
  readonly platform: Platform;
  readonly sockets: EdgeSockets;
  readonly address: Address;
  readonly token: string;
  /** For the operations of an admin. */
  readonly adminToken?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Keeps a socket open to the coordinator, else uses HTTP. */
export class Connection implements ClientConnection {
  readonly signalsCommits = false;
  readonly #options: ConnectionOptions;
  readonly #registration: Registration;
  readonly #events: EdgeEvents;
  readonly #http: SendRequest;
  /** Compared with the next reading of both clocks, to notice sleep or a clock change. */
  #lastReading: Instant;
  readonly #closing = new AbortController();
  #state: ConnectionState = "disconnected";
  #socket: Channel | null = null;
  #isStarted = false;
  #isRegistering = false;
  #generation = 0;
  #attempt = 0;
  #socketTries: number | null = null;
  #openedAt: Instant;
  #cancelRetry: () => void = () => undefined;
  #cancelHeartbeat: () => void = () => undefined;

  constructor(options: ConnectionOptions, registration: Registration, events: EdgeEvents) {
    this.#options = options;
    this.#registration = registration;
    this.#events = events;
    this.#http = http.sender({ ...options, signal: options.signal ?? this.#closing.signal });
    this.#lastReading = this.#openedAt = readClock(options.platform.clock);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get isPushing(): boolean {
    return this.#state !== "fallback";
  }

  get sendDirectly(): SendRequest | null {
    return this.#isStarted ? null : this.#http;
  }

  get generation(): number {
    return this.#generation;
  }

  /** The chat is registered on the socket. */
  get #isLive(): boolean {
    return this.#state === "connected" && this.#socket !== null;
  }

  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#connect();
  }

  close(reason: string): void {
    if (this.#state === "closed") return;
    this.#dropConnection();
    this.#closing.abort();
    this.#setState("closed", reason);
  }

  readonly send: SendRequest = async (name, input, timeoutMs) => {
    this.checkClocks();
    const generation = this.#generation;
    const outcome = await this.#sendVia(name, input, timeoutMs);
    if (outcome.kind === "answered" && !outcome.result.ok && endOf(outcome.result.error) === "connection") {
      this.close(outcome.result.error.message);
    }
    const isCurrent = generation === this.#generation && this.#state === "fallback";
    if (isCurrent && outcome.kind === "lost") this.#disconnect(outcome.message);
    if (isCurrent && outcome.kind === "answered") this.#attempt = 0;
    return outcome;
  };

  notify(method: string, params: object): void {
    if (this.#isLive) this.#socket?.notify(method, params);
  }

  registerChat(): void {
    if (!isUp(this.#state) || this.#isRegistering) return;
    this.#isRegistering = true;
    const { chatInput } = this.#registration;
    if (this.#isLive) this.#socket?.represent(this.#registration.chat);
    void this.#registration
      .register(this.send, () => this.registerChat())
      .finally(() => {
        this.#isRegistering = false;
        if (this.#isLive) this.#socket?.keepAlive(this.#registration.pingIntervalMs);
        this.#registerOther(chatInput);
      });
  }

  /** A registration may have been requested while this one, or none, was sent. */
  #registerOther(sent: ChatInput | null): void {
    const { chatInput } = this.#registration;
    if (chatInput !== null && chatInput !== sent) this.registerChat();
  }

  handleRefusal(self: Self | null, error: Failure): void {
    this.#registration.handleRefusal(self, error, () => this.registerChat());
  }

  readonly #sendVia: SendRequest = (name, input, timeoutMs) => {
    const isHttp =
      this.#state === "fallback" || (this.#isLive && (name === httpOnlyOperation || isTooLarge(name, input)));
    if (isHttp) return this.#http(name, input, timeoutMs);
    if (this.#isLive && this.#socket) return this.#socket.send(name, input, timeoutMs);
    return Promise.resolve(lostOutcome(false, "not connected"));
  };

  #connect(): void {
    this.#cancelRetry();
    if (this.#state !== "fallback") this.#setState("connecting", "opening a socket");
    const { platform, sockets } = this.#options;
    const socket: Channel = sockets.open(platform, this.#options, this.#registration.chat, {
      onOpen: () => void this.#onSocketOpen(socket),
      onClosed: (closed) => this.#onSocketClosed(socket, closed),
      onNotification: (notification) => this.#events.emit({ type: "notified", notification }),
      onPong: (sentAt) => {
        if (elapsedMs(this.#openedAt, sentAt) >= stableAfterMs) this.#attempt = 0;
        this.checkClocks();
      },
      onProblem: (message) => this.#events.emit({ type: "problem", message }),
    });
    this.#socket = socket;
  }

  /** Registers the chat before any other request. */
  async #onSocketOpen(socket: Channel): Promise<void> {
    const { chat, chatInput } = this.#registration;
    socket.represent(chat);
    const outcome = await this.#registration.register(socket.send, () => this.registerChat());
    if (socket !== this.#socket) return;
    if (outcome && outcome.kind !== "answered") return socket.close(1000, `registering: ${outcome.message}`);
    this.#cancelRetry();
    this.#socketTries = 0;
    this.#openedAt = readClock(this.#options.platform.clock);
    socket.keepAlive(this.#registration.pingIntervalMs);
    // workerd reports the close of an unused connection only at hibernation (seen: 10 s).
    if (!outcome) socket.check();
    this.#setUsable("connected", "over a socket");
    this.#registerOther(chatInput);
  }

  #onSocketClosed(socket: Channel, { code, message, isReplaced, wasOpen }: SocketClose): void {
    if (socket !== this.#socket) return;
    const wasFallback = this.#state === "fallback";
    this.#socket = null;
    if (isReplaced) this.#registration.lose({ code: "chat_replaced", message });
    if (code === closeCodes.token) return this.close("the token was revoked, or is not accepted");
    if (wasFallback) return this.#scheduleSocketRetry();
    if (wasOpen) return this.#disconnect(message, code === closeCodes.flood ? afterFloodMs : 0);
    void this.#tryHttp(message);
  }

  /** HTTP shows why no socket opens: no coordinator, blocked sockets or a refused token. */
  async #tryHttp(reason: string): Promise<void> {
    const { chatInput } = this.#registration;
    const registered = await this.#registration.register(this.#http, () => this.registerChat());
    const outcome = registered ?? (await this.#http("health", {}, probeTimeoutMs));
    if (this.#state === "closed") return;
    if (outcome.kind !== "answered") return this.#disconnect(`${reason}; ${outcome.message}`);
    const { result } = outcome;
    if (!result.ok && endOf(result.error) === "connection") return this.close(result.error.message);
    if (!result.ok && isTransient(result.error))
      return this.#disconnect(result.error.message, result.error.retryAfterMs);
    this.#setUsable("fallback", reason);
    this.#scheduleHeartbeat();
    this.#scheduleSocketRetry();
    this.#registerOther(chatInput);
  }

  /** Keeps the chat alive where no socket does. */
  #scheduleHeartbeat(): void {
    const beat = (): void => void this.#sendHeartbeat(this.#generation);
    this.#cancelHeartbeat = this.#options.platform.setTimer(beat, this.#registration.pingIntervalMs);
  }

  async #sendHeartbeat(generation: number): Promise<void> {
    const { self } = this.#registration;
    const outcome = self && (await this.send("chats.heartbeat", { self }, heartbeatTimeoutMs));
    if (generation !== this.#generation) return;
    this.#scheduleHeartbeat();
    if (outcome?.kind !== "answered") return;
    if (!outcome.result.ok) this.handleRefusal(self, outcome.result.error);
    else if (outcome.result.value.unread > 0) this.#events.emit({ type: "unread" });
  }

  #setUsable(state: "connected" | "fallback", reason: string): void {
    this.#generation += 1;
    this.#cancelHeartbeat();
    this.#setState(state, reason);
  }

  #scheduleSocketRetry(): void {
    const { setTimer, random } = this.#options.platform;
    this.#cancelRetry();
    const tries = this.#socketTries ?? maxQuickTries;
    if (this.#socketTries !== null) this.#socketTries += 1;
    const ms =
      tries < maxQuickTries
        ? fullJitter(reconnectBackoff, tries, random)
        : socketRetry.afterMs + Math.floor(random() * socketRetry.spreadMs);
    this.#cancelRetry = setTimer(() => this.#connect(), ms);
  }

  /** Exponential backoff with full jitter, reset by a stable connection. */
  #disconnect(reason: string, retryAfterMs = 0): void {
    const { setTimer, random } = this.#options.platform;
    this.#dropConnection();
    const retryInMs = retryAfterMs + fullJitter(reconnectBackoff, this.#attempt, random);
    this.#attempt += 1;
    this.#setState("disconnected", reason, { retryInMs });
    this.#cancelRetry = setTimer(() => this.#connect(), retryInMs);
  }

  #dropConnection(): void {
    this.#generation += 1;
    this.#registration.unbind();
    this.#cancelRetry();
    this.#cancelHeartbeat();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000, "closed by this side");
  }

  /** Relies on no earlier confirmation after sleep or a clock change. */
  checkClocks(): void {
    const now = readClock(this.#options.platform.clock);
    const byMs = jumpedMs(this.#lastReading, now);
    this.#lastReading = now;
    if (byMs === 0) return;
    this.#events.emit({ type: "clock-jump", byMs });
    if (this.#isLive) this.#socket?.check();
    if (this.#state === "disconnected" && this.#isStarted) this.#connect();
  }

  #setState(state: ConnectionState, reason: string, extra: { readonly retryInMs?: number } = {}): void {
    this.#state = state;
    this.#events.emit({ type: "state", state, reason, ...extra });
  }
}

/** Too large for a frame, while its operation allows it over HTTP. */
function isTooLarge(name: OperationName, input: object): boolean {
  const { maxBodyBytes }: Operation = operations[name];
  return maxBodyBytes !== undefined && byteLength(input) > maxFrameInputBytes;
}

export type RegisteredChat = OutputOf<"chats.register">;
export type ChatInput = InputOf<"chats.register">;

const registerTimeoutMs = 10_000;
const retryBackoff = { baseMs: 1_000, capMs: 30_000 };

/** Registers the chat on each connection before any other request. */
export class Registration {
  readonly #platform: Pick<Platform, "setTimer" | "random">;
  readonly #events: EdgeEvents;
  #chatInput: ChatInput | null = null;
  #current: RegisteredChat | null = null;
  #resolveFirst: ((result: Result<RegisteredChat>) => void) | null = null;
  #isSent = false;
  /** The last answer, where the coordinator has refused the chat for now. */
  #refusal: Failure | null = null;
  /** Changes with whatever makes an answer outdated. */
  #round = 0;
  #attempt = 0;
  #cancelRetry: () => void = () => undefined;

  constructor(platform: Pick<Platform, "setTimer" | "random">, events: EdgeEvents) {
    this.#platform = platform;
    this.#events = events;
  }

  get self(): Self | null {
    return this.#current && { chat: this.#current.chat, incarnation: this.#current.incarnation };
  }

  get chatInput(): ChatInput | null {
    return this.#chatInput;
  }

  get chat(): string | null {
    return this.#chatInput?.chat ?? null;
  }

  get pingIntervalMs(): number {
    return this.#current?.pingIntervalMs ?? maxPingIntervalMs;
  }

  setChat(chatInput: ChatInput, deadlineMs: number): Promise<Result<RegisteredChat>> {
    this.forget("another chat is registered instead");
    this.#chatInput = chatInput;
    return new Promise((resolve) => {
      this.#isSent = false;
      const message = "chats.register: the coordinator was not reached in time";
      const late = (): Failure => this.#refusal ?? { code: this.#isSent ? "outcome_unknown" : "unreachable", message };
      const cancel = this.#platform.setTimer(() => this.#resolveFirst?.(err(late())), deadlineMs);
      this.#resolveFirst = (result) => {
        this.#resolveFirst = null;
        cancel();
        if (!result.ok) this.forget("");
        resolve(result);
      };
    });
  }

  async register(ask: SendRequest, retry: () => void): Promise<RequestOutcome<RegisteredChat> | null> {
    const chatInput = this.#chatInput;
    this.unbind();
    if (!chatInput) return null;
    const round = this.#round;
    this.#refusal = null;
    const outcome = await ask("chats.register", chatInput, registerTimeoutMs);
    this.#isSent ||= outcome.kind !== "lost" || outcome.isSent;
    if (round !== this.#round) return outcome;
    if (outcome.kind !== "answered") this.#scheduleRetry(0, retry);
    else if (outcome.result.ok) this.#accept(outcome.result.value);
    else this.#onRefused(outcome.result.error, retry);
    return outcome;
  }

  /** Whatever is under way counts no more. */
  unbind(): void {
    this.#round += 1;
    this.#cancelRetry();
  }

  /** @param registerAgain a chat that counts as gone may come back */
  handleRefusal(self: Self | null, error: Failure, registerAgain: () => void): void {
    if (self === null || self.chat !== this.#current?.chat || self.incarnation !== this.#current.incarnation) return;
    if (retryOf(error) === "after_registering") registerAgain();
    if (error.code === "chat_replaced") this.lose(error);
  }

  lose(error: Failure): void {
    const hadChat = this.#current !== null;
    this.forget(error.message);
    if (hadChat) this.#events.emit({ type: "chat-lost", error });
  }

  forget(reason: string): void {
    this.unbind();
    this.#chatInput = null;
    this.#current = null;
    this.#resolveFirst?.(fail("closed", reason));
  }

  #accept(registered: RegisteredChat): void {
    this.unbind();
    this.#attempt = 0;
    this.#current = registered;
    this.#events.emit({ type: "registered", incarnation: registered.incarnation });
    this.#resolveFirst?.(ok(registered));
  }

  /** Repeats only what a coordinator refuses: the caller sees a store that fails. */
  #onRefused(error: Failure, retry: () => void): void {
    if (this.#resolveFirst && !(isRefusal(error) && isTransient(error))) return this.#resolveFirst(err(error));
    // The process that took over the session will not give it up.
    const isFinal = isRefusal(error) && !isRetryable(error.code);
    if (error.code === "session_in_use" || isFinal) return this.lose(error);
    this.#refusal = isRefusal(error) ? error : null;
    this.#events.emit({ type: "problem", message: `the chat is not registered: ${error.message}` });
    this.#scheduleRetry(error.retryAfterMs ?? 0, retry);
  }

  #scheduleRetry(minMs: number, retry: () => void): void {
    const waitMs = minMs + fullJitter(retryBackoff, this.#attempt, this.#platform.random);
    this.#attempt += 1;
    this.#cancelRetry = this.#platform.setTimer(retry, waitMs);
  }
}
