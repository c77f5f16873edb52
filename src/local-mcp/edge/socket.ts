import type { InputOf, OperationName, OutputOf } from "../../contract/operations.ts";
import {
  closeCodes,
  flowReadMethod,
  pingText,
  maxPingIntervalMs,
  pongText,
  protocolVersion,
} from "../../contract/protocol.ts";
import { headersOf, socketOf, type Address } from "./address.ts";
import { notificationFrame, readFrame, requestFrame, type Notification } from "./frames.ts";
import { answered, garbled, lost, refused, type Outcome } from "./outcome.ts";
import type { Outside, Socket } from "./outside.ts";
import { read, type Instant } from "./trust.ts";

/** One connection, from its opening to its end; it never opens another. */

/** Until it is open, in ms. */
const openWithinMs = 10_000;
/** Without any sign within this after a ping the connection is dead, in ms; with frequent pings half of their interval. */
const pongWithinMs = 5_000;

export interface Door {
  readonly address: Address;
  readonly token: string;
  readonly chat: string | null;
}

export interface Closed {
  readonly code: number;
  readonly message: string;
  readonly wasOpen: boolean;
}

export interface SocketHandlers {
  readonly onOpen: () => void;
  readonly onClosed: (closed: Closed) => void;
  readonly onNotification: (notification: Notification) => void;
  /** @param sentAt start of the ping that was answered */
  readonly onPong: (sentAt: Instant) => void;
  readonly onProblem: (message: string) => void;
}

interface Pending {
  readonly name: OperationName;
  readonly sentAt: Instant;
  readonly settle: (outcome: Outcome<never>) => void;
}

export class EdgeSocket {
  /** In whose name it was opened. */
  readonly chat: string | null;
  readonly #outside: Pick<Outside, "clock" | "setTimer" | "openSocket">;
  readonly #handlers: SocketHandlers;
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #isOpen = false;
  #isOver = false;
  #lastId = 0;
  #pingedAt: Instant | null = null;
  #hasHeard = false;
  #intervalMs = maxPingIntervalMs;
  #cancelTimer: () => void;

  constructor(
    outside: Pick<Outside, "clock" | "setTimer" | "openSocket">,
    { address, token, chat }: Door,
    handlers: SocketHandlers,
  ) {
    this.chat = chat;
    this.#outside = outside;
    this.#handlers = handlers;
    this.#cancelTimer = outside.setTimer(() => this.#end(1006, `not open within ${openWithinMs} ms`), openWithinMs);
    this.#socket = outside.openSocket(socketOf(address, chat), headersOf(token, protocolVersion), {
      onOpen: () => this.#opened(),
      onText: (text) => this.#heard(text),
      onClose: (code, reason) => this.#end(code, reason || `closed with code ${code}`),
    });
  }

  /** Sends one request once. */
  ask<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    timeoutMs: number,
  ): Promise<Outcome<OutputOf<Name>>> {
    if (!this.#isAwake()) return Promise.resolve(lost(false, "not connected"));
    const id = (this.#lastId += 1);
    const sentAt = read(this.#outside.clock);
    return new Promise((resolve) => {
      const cancel = this.#outside.setTimer(
        () => this.#settle(id, lost(true, `no answer over the socket within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const settle = (outcome: Outcome<never>): void => {
        cancel();
        resolve(outcome);
      };
      this.#pending.set(id, { name, sentAt, settle });
      this.#socket.send(requestFrame(id, name, input));
    });
  }

  notify(method: string, params: unknown): void {
    if (this.#isAwake()) this.#socket.send(notificationFrame(method, params));
  }

  /** [EC3] From now on it pings so often, and ends when nothing comes back. */
  keepAlive(intervalMs: number): void {
    this.#intervalMs = intervalMs;
    if (this.#isAwake() && this.#pingedAt === null) this.#pingIn(intervalMs);
  }

  /** Looks at once whether the connection still lives. */
  check(): void {
    if (this.#isAwake() && this.#pingedAt === null) this.#ping();
  }

  close(code: number, message: string): void {
    this.#end(code, message);
  }

  #opened(): void {
    if (this.#isOver) return;
    this.#cancelTimer();
    this.#isOpen = true;
    this.#handlers.onOpen();
  }

  #isAwake(): boolean {
    return this.#isOpen && !this.#isOver;
  }

  #pingIn(ms: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#outside.setTimer(() => this.#ping(), ms);
  }

  /** Never two at once: nobody could tell which of them a pong answers. */
  #ping(): void {
    this.#pingedAt = read(this.#outside.clock);
    this.#socket.send(pingText);
    this.#judgeLater();
  }

  #judgeLater(): void {
    this.#hasHeard = false;
    this.#cancelTimer();
    const withinMs = Math.min(pongWithinMs, this.#intervalMs / 2);
    this.#cancelTimer = this.#outside.setTimer(() => this.#judge(withinMs), withinMs);
  }

  /** A long frame may come before the pong: whatever comes is a sign of life, but only a pong is told as one. */
  #judge(withinMs: number): void {
    if (!this.#hasHeard) return this.#end(1006, `no answer to a ping within ${withinMs} ms`);
    if (this.#pingedAt === null) this.#pingIn(this.#intervalMs - withinMs);
    else this.#judgeLater();
  }

  #heard(text: string): void {
    if (this.#isOver) return;
    this.#hasHeard = true;
    if (text !== pongText) return this.#take(text);
    const sentAt = this.#pingedAt;
    this.#pingedAt = null;
    if (sentAt) this.#handlers.onPong(sentAt);
  }

  #take(text: string): void {
    for (const incoming of readFrame(text)) {
      switch (incoming.kind) {
        case "result":
          this.#answer(incoming.id, ({ name, sentAt }) => answered(name, sentAt, incoming.result) as Outcome<never>);
          break;
        case "error":
          this.#answer(incoming.id, ({ name, sentAt }) => refused(name, sentAt, incoming.error));
          break;
        case "notification":
          this.#handlers.onNotification(incoming.notification);
          break;
        case "mark":
          // [EC23] Everything before it was read.
          this.notify(flowReadMethod, { mark: incoming.mark });
          break;
        case "unknown":
          this.#handlers.onProblem(incoming.message);
          break;
      }
    }
  }

  /** An answer that comes too late meets nobody: its request was asked again. */
  #answer(id: number, outcomeOf: (pending: Pending) => Outcome<never>): void {
    const pending = this.#pending.get(id);
    if (pending) this.#settle(id, outcomeOf(pending));
  }

  #settle(id: number, outcome: Outcome<never>): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.settle(outcome);
  }

  #end(code: number, message: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelTimer();
    this.#socket.close(1000);
    const isPoison = code === closeCodes.protocol;
    for (const id of this.#pending.keys()) this.#settle(id, isPoison ? garbled(message) : lost(true, message));
    this.#handlers.onClosed({ code, message, wasOpen: this.#isOpen });
  }
}
