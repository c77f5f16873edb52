import { notificationFrame, requestFrame, readIncoming, type Notification } from "../../contract/frames.ts";
import type { InputOf, OperationName, OutputOf } from "../../contract/operations.ts";
import {
  closeCodes,
  flowReadMethod,
  pingText,
  maxPingIntervalMs,
  pongText,
  protocolVersion,
} from "../../contract/protocol.ts";
import { requestHeaders, type Address } from "./address.ts";
import {
  answeredOutcome,
  garbledOutcome,
  lostOutcome,
  refusedOutcome,
  type RequestOutcome,
} from "./request-outcome.ts";
import type { Platform, Socket } from "./platform.ts";
import { readClock, type Instant } from "./trust.ts";

const openTimeoutMs = 10_000;
/** Limit for any frame after a ping, in ms; half of a shorter ping interval. */
const pongTimeoutMs = 5_000;

export interface EdgeSocketOptions {
  readonly address: Address;
  readonly token: string;
}

export interface SocketClose {
  readonly code: number;
  readonly message: string;
  /** Another connection represents the chat. */
  readonly isReplaced: boolean;
  readonly wasOpen: boolean;
}

export interface SocketHandlers {
  readonly onOpen: () => void;
  readonly onClosed: (closed: SocketClose) => void;
  readonly onNotification: (notification: Notification) => void;
  readonly onPong: (sentAt: Instant) => void;
  readonly onProblem: (message: string) => void;
}

interface PendingRequest {
  readonly name: OperationName;
  readonly sentAt: Instant;
  readonly sender: object;
  readonly finish: (outcome: RequestOutcome<never>) => void;
}

export class EdgeSocket {
  readonly #platform: Pick<Platform, "clock" | "setTimer" | "openSocket">;
  readonly #handlers: SocketHandlers;
  readonly #socket: Socket;
  readonly #pending = new Map<number, PendingRequest>();
  #isOpen = false;
  #hasEnded = false;
  #lastId = 0;
  #pingedAt: Instant | null = null;
  #hasReceived = false;
  #pingIntervalMs = maxPingIntervalMs;
  #cancelTimer: () => void;

  constructor(
    platform: Pick<Platform, "clock" | "setTimer" | "openSocket">,
    { address, token }: EdgeSocketOptions,
    handlers: SocketHandlers,
  ) {
    this.#platform = platform;
    this.#handlers = handlers;
    this.#cancelTimer = platform.setTimer(() => this.#end(1006, `not open within ${openTimeoutMs} ms`), openTimeoutMs);
    this.#socket = platform.openSocket(address.socket, requestHeaders(token, protocolVersion), {
      onOpen: () => this.#onOpen(),
      onText: (text) => this.#onText(text),
      onClose: (code, reason) => this.#end(code, reason || `closed with code ${code}`),
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** @param sender may abandon its requests */
  send<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    timeoutMs: number,
    sender: object,
  ): Promise<RequestOutcome<OutputOf<Name>>> {
    if (!this.#isUsable()) return Promise.resolve(lostOutcome(false, "not connected"));
    const id = (this.#lastId += 1);
    const sentAt = readClock(this.#platform.clock);
    return new Promise((resolve) => {
      const cancel = this.#platform.setTimer(
        () => this.#finish(id, lostOutcome(true, `no answer over the socket within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const finish = (outcome: RequestOutcome<never>): void => {
        cancel();
        resolve(outcome);
      };
      this.#pending.set(id, { name, sentAt, sender, finish });
      this.#socket.send(requestFrame(id, name, input));
    });
  }

  abandon(sender: object, message: string): void {
    for (const [id, request] of this.#pending)
      if (request.sender === sender) this.#finish(id, lostOutcome(true, message));
  }

  notify(method: string, params: object): void {
    if (this.#isUsable()) this.#socket.send(notificationFrame(method, params));
  }

  /** [EC3] Pings at intervals; closes when nothing comes back. */
  keepAlive(intervalMs: number): void {
    this.#pingIntervalMs = intervalMs;
    if (this.#isUsable() && this.#pingedAt === null) this.#schedulePing(intervalMs);
  }

  check(): void {
    if (this.#isUsable() && this.#pingedAt === null) this.#ping();
  }

  close(code: number, message: string): void {
    this.#end(code, message);
  }

  #onOpen(): void {
    if (this.#hasEnded) return;
    this.#cancelTimer();
    this.#isOpen = true;
    this.#handlers.onOpen();
  }

  #isUsable(): boolean {
    return this.#isOpen && !this.#hasEnded;
  }

  #schedulePing(ms: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#platform.setTimer(() => this.#ping(), ms);
  }

  /** Never two at once: a pong does not say which ping it answers. */
  #ping(): void {
    this.#pingedAt = readClock(this.#platform.clock);
    this.#socket.send(pingText);
    this.#schedulePongCheck();
  }

  #schedulePongCheck(): void {
    this.#hasReceived = false;
    this.#cancelTimer();
    const timeoutMs = Math.min(pongTimeoutMs, this.#pingIntervalMs / 2);
    this.#cancelTimer = this.#platform.setTimer(() => this.#checkPong(timeoutMs), timeoutMs);
  }

  /** Any frame is a sign of life, since a long one may precede the pong. */
  #checkPong(timeoutMs: number): void {
    if (!this.#hasReceived) return this.#end(1006, `no answer to a ping within ${timeoutMs} ms`);
    if (this.#pingedAt === null) this.#schedulePing(this.#pingIntervalMs - timeoutMs);
    else this.#schedulePongCheck();
  }

  #onText(text: string): void {
    if (this.#hasEnded) return;
    this.#hasReceived = true;
    if (text !== pongText) return this.#handleFrames(text);
    const sentAt = this.#pingedAt;
    this.#pingedAt = null;
    if (sentAt) this.#handlers.onPong(sentAt);
  }

  #handleFrames(text: string): void {
    for (const incoming of readIncoming(text)) {
      switch (incoming.kind) {
        case "result":
          this.#finishPending(
            incoming.id,
            ({ name, sentAt }) => answeredOutcome(name, sentAt, incoming.result) as RequestOutcome<never>,
          );
          break;
        case "error":
          this.#finishPending(incoming.id, ({ name, sentAt }) => refusedOutcome(name, sentAt, incoming.error));
          break;
        case "notification":
          this.#handlers.onNotification(incoming.notification);
          break;
        case "mark":
          // [EC23] Everything before the mark was read.
          this.notify(flowReadMethod, { mark: incoming.mark });
          break;
        case "unknown":
          this.#handlers.onProblem(incoming.message);
          break;
      }
    }
  }

  /** Ignores a late answer: its request was repeated. */
  #finishPending(id: number, toOutcome: (pending: PendingRequest) => RequestOutcome<never>): void {
    const pending = this.#pending.get(id);
    if (pending) this.#finish(id, toOutcome(pending));
  }

  #finish(id: number, outcome: RequestOutcome<never>): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.finish(outcome);
  }

  #end(code: number, message: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancelTimer();
    this.#socket.close(1000);
    const isProtocolError = code === closeCodes.protocol;
    for (const id of this.#pending.keys())
      this.#finish(id, isProtocolError ? garbledOutcome(message) : lostOutcome(true, message));
    this.#handlers.onClosed({ code, message, isReplaced: false, wasOpen: this.#isOpen });
  }
}
