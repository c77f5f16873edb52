import type { Operation } from "../../contract/operation.ts";
import { operations, type OperationName } from "../../contract/operations.ts";
import type { Refusal } from "../../contract/errors.ts";
import { closeCodes } from "../../contract/protocol.ts";
import type { Self } from "../../contract/values.ts";
import { fullJitter } from "../../shared/backoff.ts";
import type { Address } from "./address.ts";
import { ClockWatch } from "./clock-watch.ts";
import type { EdgeEvent, Emitter, LinkState, Signal } from "./events.ts";
import { isFinal, isUseless } from "./failure.ts";
import { bytesOf, maxFrameInputBytes } from "./frames.ts";
import { Gate } from "./gate.ts";
import { HttpHeartbeat } from "./http-heartbeat.ts";
import * as http from "./http.ts";
import { lost, type Ask } from "./outcome.ts";
import type { Outside } from "./outside.ts";
import type { Ping, Registration } from "./registration.ts";
import { EdgeSocket, type Closed } from "./socket.ts";
import { elapsedMs, read, type Instant } from "./trust.ts";

/** Of an attempt that only looks whether somebody answers, in ms. */
const probeWithinMs = 10_000;
/** After a deploy all clients come back; a worker's coordinator forgives a closed socket for 5 s only. */
const reconnect = { baseMs: 500, capMs: 30_000 };
/** A connection that answers pings after so long is no accident, in ms. */
const provenMs = 5_000;
/** While HTTP works, a socket is tried after so long: the first, and by chance up to so much more, in ms. */
const socketAgain = { afterMs: 15_000, spreadMs: 30_000 };

/** Where a socket has worked before they are not blocked: so often it is tried soon. */
const soonTries = 4;

/** The worker makes tokens before the object is asked. */
const httpOnly: OperationName = "tokens.create";

export interface LinkOptions {
  readonly outside: Outside;
  readonly address: Address;
  readonly token: string;
  /** Over HTTP alone, without a socket: for a command that asks once. */
  readonly isHttpOnly: boolean;
  readonly maxQueued: number;
}

/** The way to the coordinator, kept open: over a socket, else over HTTP. [EC2] [EC4] [EC6] */
export class Link {
  readonly gate: Gate;
  readonly #options: LinkOptions;
  readonly #registration: Registration;
  readonly #events: Emitter<EdgeEvent>;
  readonly #signals: Emitter<Signal>;
  readonly #http: Ask;
  readonly #heartbeat: HttpHeartbeat;
  readonly #clocks: ClockWatch;
  readonly #closing = new AbortController();
  #state: LinkState = "disconnected";
  #socket: EdgeSocket | null = null;
  #isStarted = false;
  #isLive = false;
  #isRegistering = false;
  #way = 0;
  #attempt = 0;
  /** To open a socket while HTTP works; null: none has ever been open. */
  #socketTries: number | null = null;
  #openedAt: Instant;
  #lastPing: Ping | null = null;
  #cancelRetry: () => void = () => undefined;

  constructor(options: LinkOptions, registration: Registration, events: Emitter<EdgeEvent>, signals: Emitter<Signal>) {
    this.#options = options;
    this.#registration = registration;
    this.#events = events;
    this.#signals = signals;
    const { setTimer, clock } = options.outside;
    this.#http = http.asker({ ...options, signal: this.#closing.signal });
    this.#clocks = new ClockWatch(clock);
    this.#openedAt = read(clock);
    this.gate = new Gate(setTimer, options.maxQueued);
    this.#heartbeat = new HttpHeartbeat(setTimer, registration, this.ask, {
      onAlive: (sentAt) => this.#alive(sentAt),
      onUnread: () => signals.emit({ method: "unread" }),
      onRefused: (self, error) => this.hear(self, error),
    });
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Another number after each interruption, and after each change between socket and HTTP. */
  get way(): number {
    return this.#way;
  }

  /** The last ping that was answered. */
  get lastPing(): Ping | null {
    return this.#lastPing;
  }

  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    if (this.#options.isHttpOnly) this.#fallBack("without a socket, as asked");
    else this.#connect();
  }

  close(reason: string): void {
    if (this.#state === "closed") return;
    this.#leave();
    this.#become("closed", reason);
    this.#closing.abort();
    this.gate.close();
    this.#signals.emit({ method: "closed", reason });
  }

  /** Sends one request once, by the present way. */
  readonly ask: Ask = async (name, input, timeoutMs) => {
    this.notice();
    const way = this.#way;
    const outcome = await this.#askBy(name, input, timeoutMs);
    if (outcome.kind === "answered" && !outcome.result.ok && isFinal(outcome.result.error)) {
      this.close(outcome.result.error.message);
    }
    const isPresent = way === this.#way && this.#state === "fallback";
    if (isPresent && outcome.kind === "lost") this.#down(outcome.message);
    if (isPresent && outcome.kind === "answered") this.#attempt = 0;
    return outcome;
  };

  notify(method: string, params: unknown): void {
    if (this.#isLive) this.#socket?.notify(method, params);
  }

  /** Registers the chat again, without a new connection. */
  registerAgain(): void {
    if (!this.gate.isOpen || this.#isRegistering) return;
    this.#isRegistering = true;
    void this.#registration
      .renew(this.ask, () => this.registerAgain())
      .finally(() => {
        this.#isRegistering = false;
        if (this.#isLive) this.#socket?.keepAlive(this.#registration.pingIntervalMs);
      });
  }

  /** [EC5] The coordinator takes the chat for gone: it is registered again; or for another process's: it is given up. */
  hear(self: Self | null, { code, message }: Refusal): void {
    if (!self || !this.#registration.isOwn(self)) return;
    if (code === "chat_offline") this.registerAgain();
    if (code === "chat_replaced") this.#registration.lose({ code, message });
  }

  /** There is a chat to register: over a connection that is opened in its name, or over HTTP. */
  admit(): void {
    const isOther = this.#socket !== null && this.#socket.chat !== this.#registration.chat;
    if (this.#state === "fallback") {
      if (isOther) this.#socket?.close(1000, "it was opened without this chat");
      this.registerAgain();
    } else if (isOther) {
      this.#leave();
      this.#connect();
    } else if (this.#isLive) this.registerAgain();
  }

  readonly #askBy: Ask = (name, input, timeoutMs) => {
    const isHttp = this.#state === "fallback" || (this.#isLive && (name === httpOnly || isTooLarge(name, input)));
    if (isHttp) return this.#http(name, input, timeoutMs);
    if (this.#isLive && this.#socket) return this.#socket.ask(name, input, timeoutMs);
    return Promise.resolve(lost(false, "not connected"));
  };

  #connect(): void {
    this.#cancelRetry();
    if (this.#options.isHttpOnly) return void this.#tryHttp("no answer");
    if (this.#state !== "fallback") this.#become("connecting", "opening a socket");
    const door = { ...this.#options, chat: this.#registration.chat };
    const socket: EdgeSocket = new EdgeSocket(door.outside, door, {
      onOpen: () => void this.#greet(socket),
      onClosed: (closed) => this.#closed(socket, closed),
      onNotification: (notification) => {
        // It will close this connection; a new one registers the chat first.
        if (notification.method === "chat.offline") socket.close(closeCodes.chat, "the chat counts as gone");
        else this.#signals.emit(notification);
      },
      onPong: (sentAt) => this.#heard(sentAt),
      onProblem: (message) => this.#events.emit({ type: "problem", message }),
    });
    this.#socket = socket;
  }

  /** [EC5] The chat is registered before anything else goes over a new connection. */
  async #greet(socket: EdgeSocket): Promise<void> {
    const ask: Ask = (name, input, timeoutMs) => socket.ask(name, input, timeoutMs);
    const outcome = await this.#registration.renew(ask, () => this.registerAgain());
    if (socket !== this.#socket) return;
    if (outcome && outcome.kind !== "answered") return socket.close(1000, `registering: ${outcome.message}`);
    this.#cancelRetry();
    this.#heartbeat.stop();
    this.#isLive = true;
    this.#socketTries = 0;
    this.#openedAt = read(this.#options.outside.clock);
    socket.keepAlive(this.#registration.pingIntervalMs);
    // workerd tells of the close of a connection on which nothing was ever sent only when the object falls asleep (seen: 10 s).
    if (!outcome) socket.check();
    this.#usable("connected", "over a socket");
  }

  #closed(socket: EdgeSocket, { code, message, wasOpen }: Closed): void {
    if (socket !== this.#socket) return;
    const wasFallback = this.#state === "fallback";
    this.#socket = null;
    this.#isLive = false;
    if (code === closeCodes.replaced) this.#registration.lose({ code: "chat_replaced", message });
    if (code === closeCodes.token) return this.close("the token was revoked, or is not accepted");
    if (wasFallback) return this.#socketLater();
    if (wasOpen) return this.#down(message);
    void this.#tryHttp(message);
  }

  /** [EC6] Where no socket opens, HTTP tells why: nobody is there, sockets are blocked, or the token is not accepted. */
  async #tryHttp(why: string): Promise<void> {
    const registered = await this.#registration.renew(this.#http, () => this.registerAgain());
    const outcome = registered ?? (await this.#http("health", {}, probeWithinMs));
    if (this.#state === "closed") return;
    if (outcome.kind !== "answered") return this.#down(`${why}; ${outcome.message}`);
    const { result } = outcome;
    if (!result.ok && isFinal(result.error)) return this.close(result.error.message);
    if (!result.ok && isUseless(result.error)) return this.#down(result.error.message, result.error.retryAfterMs);
    this.#fallBack(why);
    // Somebody may have wanted it while only the way was looked for.
    if (!registered) this.registerAgain();
  }

  #fallBack(why: string): void {
    this.#usable("fallback", why);
    this.#heartbeat.start();
    if (!this.#options.isHttpOnly) this.#socketLater();
  }

  #usable(state: "connected" | "fallback", reason: string): void {
    this.#way += 1;
    this.#become(state, reason);
    this.gate.open();
    this.#signals.emit({ method: "usable" });
  }

  #socketLater(): void {
    const { setTimer, random } = this.#options.outside;
    this.#cancelRetry();
    const tries = this.#socketTries ?? soonTries;
    if (this.#socketTries !== null) this.#socketTries += 1;
    const ms =
      tries < soonTries
        ? fullJitter(reconnect, tries, random)
        : socketAgain.afterMs + Math.floor(random() * socketAgain.spreadMs);
    this.#cancelRetry = setTimer(() => this.#connect(), ms);
  }

  /** [EC4] Exponential backoff with full jitter; after a connection that has proved itself from the start again. */
  #down(reason: string, retryAfterMs = 0): void {
    const { setTimer, random } = this.#options.outside;
    this.#leave();
    // Many that were told the same time do not come back together.
    const retryInMs = retryAfterMs + fullJitter(reconnect, this.#attempt, random);
    this.#attempt += 1;
    this.#become("disconnected", reason, { retryInMs });
    this.#cancelRetry = setTimer(() => this.#connect(), retryInMs);
  }

  #leave(): void {
    this.#way += 1;
    this.gate.shut();
    this.#registration.unbind();
    this.#cancelRetry();
    this.#heartbeat.stop();
    this.#drop();
  }

  /** What the socket tells from now on is not heard. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#isLive = false;
    socket?.close(1000, "closed by this side");
  }

  #heard(sentAt: Instant): void {
    if (elapsedMs(this.#openedAt, sentAt) >= provenMs) this.#attempt = 0;
    const { life } = this.#registration;
    if (life !== null) this.#lastPing = { sentAt, life };
    this.#alive(sentAt);
    this.notice();
  }

  #alive(sentAt: Instant): void {
    this.#events.emit({ type: "alive", roundTripMs: elapsedMs(sentAt, read(this.#options.outside.clock)) });
  }

  /** [EC7] After a sleep or a change of a clock nothing that was known before is relied on. */
  notice(): void {
    const byMs = this.#clocks.jumpedMs();
    if (byMs === 0) return;
    this.#events.emit({ type: "clock-jump", byMs });
    if (this.#isLive) this.#socket?.check();
    if (this.#state === "disconnected") this.#connect();
    this.#signals.emit({ method: "jump" });
  }

  #become(state: LinkState, reason: string, when: { readonly retryInMs?: number } = {}): void {
    const previous = this.#state;
    this.#state = state;
    this.#events.emit({ type: "state", state, previous, reason, ...when });
  }
}

/** [EC2] No frame holds it, and its operation takes it over HTTP. */
function isTooLarge(name: OperationName, input: object): boolean {
  const { maxBodyBytes }: Operation = operations[name];
  return maxBodyBytes !== undefined && bytesOf(input) > maxFrameInputBytes;
}
