import {
  notificationFrame,
  requestFrame,
  readIncoming,
  type Notification,
  flowReadMethod,
  leaveMethod,
  maxAnswerChars,
  maxChatsPerSocket,
  maxPingIntervalMs,
  protocolVersion,
} from "../../contract/protocol.ts";
import { closeCodes, pingText, pongText } from "../../contract/sockets.ts";
import type { InputOf, OperationName, OutputOf } from "../../contract/operations.ts";
import { FrameBound, type FrameLimits } from "../../shared/frame-bound.ts";
import { requestHeaders, type Address } from "./address.ts";
import {
  answeredOutcome,
  garbledOutcome,
  lostOutcome,
  refusedOutcome,
  type RequestOutcome,
  type SendRequest,
} from "./outcomes.ts";
import type { Platform, Socket, SocketEvents } from "./platform.ts";
import { readClock, type Instant } from "./trust.ts";

type SocketPlatform = Pick<Platform, "clock" | "setTimer" | "openSocket">;

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
  readonly channel: Channel;
  readonly finish: (outcome: RequestOutcome<never>) => void;
}

/** Sockets of a process: its chats of one workspace share one, as long as it has room. */
export class EdgeSockets {
  readonly #sockets = new Set<EdgeSocket>();

  /**
   * @param chat null: of a client without a chat, which always has room
   * @param handlers as of a socket of its own: called later, never within the call
   */
  open(platform: SocketPlatform, options: EdgeSocketOptions, chat: string | null, handlers: SocketHandlers): Channel {
    const key = `${options.token} ${options.address.socket}`;
    for (const socket of this.#sockets)
      if (socket.key === key && (chat === null || socket.hasRoom)) return socket.add(chat, handlers);
    const socket: EdgeSocket = new EdgeSocket(key, platform, options, () => void this.#sockets.delete(socket));
    this.#sockets.add(socket);
    return socket.add(chat, handlers);
  }
}

/** Hints of a coordinator, which may be at fault, or lie; answers are asked for. */
const frameLimits: FrameLimits = { framesPerSecond: 1_000, charsPerFrame: 200 };
/** The answers of one frame, the last of which may have a row of 2 MB. */
const answerChars = 2 * maxAnswerChars;
const maxFrameBytes = 16_777_216;

class EdgeSocket {
  readonly key: string;
  readonly #platform: SocketPlatform;
  readonly #onClosed: () => void;
  readonly #channels = new Set<Channel>();
  readonly #socket: Socket;
  readonly #pending = new Map<number, PendingRequest>();
  readonly #bound = new FrameBound(frameLimits);
  #isOpen = false;
  #hasEnded = false;
  #lastId = 0;
  #pingedAt: Instant | null = null;
  #hasReceived = false;
  #pingIntervalMs = maxPingIntervalMs;
  #cancelTimer: () => void;

  constructor(key: string, platform: SocketPlatform, { address, token }: EdgeSocketOptions, onClosed: () => void) {
    this.key = key;
    this.#platform = platform;
    this.#onClosed = onClosed;
    this.#cancelTimer = platform.setTimer(() => this.#end(1006, `not open within ${openTimeoutMs} ms`), openTimeoutMs);
    const events: SocketEvents = {
      onOpen: () => this.#onOpen(),
      onText: (text) => {
        if (this.#bound.take(text.length, platform.clock.monotonic())) this.#onText(text);
        else this.#end(closeCodes.flood, "the coordinator sends more than a client takes");
      },
      onClose: (code, reason) => this.#end(code, reason || `closed with code ${code}`),
    };
    this.#socket = platform.openSocket(address.socket, requestHeaders(token, protocolVersion), events, maxFrameBytes);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get hasRoom(): boolean {
    return [...this.#channels].filter(({ chat }) => chat !== null).length < maxChatsPerSocket;
  }

  add(chat: string | null, handlers: SocketHandlers): Channel {
    const channel = new Channel(this, chat, handlers);
    this.#channels.add(channel);
    const open = (): void => {
      if (this.#channels.has(channel)) handlers.onOpen();
    };
    if (this.isOpen) this.#platform.setTimer(open, 0);
    return channel;
  }

  /** The last one closes the socket. */
  remove(channel: Channel, { code, message }: Pick<SocketClose, "code" | "message">): void {
    this.#channels.delete(channel);
    if (this.#channels.size === 0) return this.#end(code, message);
    for (const watch of channel.watches) this.notify("state.unwatch", { watch });
    if (channel.chat !== null) this.notify(leaveMethod, { chat: channel.chat });
  }

  send<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    timeoutMs: number,
    channel: Channel,
  ): Promise<RequestOutcome<OutputOf<Name>>> {
    if (!this.#isUsable()) return Promise.resolve(lostOutcome(false, "not connected"));
    const id = (this.#lastId += 1);
    return new Promise((resolve) => {
      const cancel = this.#platform.setTimer(
        () => this.#finish(id, lostOutcome(true, `no answer over the socket within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const finish = (outcome: RequestOutcome<never>): void => {
        cancel();
        resolve(outcome);
      };
      this.#pending.set(id, { name, channel, finish });
      this.#bound.ask(answerChars);
      this.#socket.send(requestFrame(id, name, input));
    });
  }

  abandon(channel: Channel, message: string): void {
    for (const [id, request] of this.#pending)
      if (request.channel === channel) this.#finish(id, lostOutcome(true, message));
  }

  notify(method: string, params: object): void {
    if (this.#isUsable()) this.#socket.send(notificationFrame(method, params));
  }

  /** Pings at the shortest interval of its chats; closes when nothing comes back. */
  keepAlive(intervalMs: number): void {
    this.#pingIntervalMs = Math.min(this.#pingIntervalMs, intervalMs);
    if (this.#isUsable() && this.#pingedAt === null) this.#schedulePing(this.#pingIntervalMs);
  }

  check(): void {
    if (this.#isUsable() && this.#pingedAt === null) this.#ping();
  }

  #onOpen(): void {
    if (this.#hasEnded) return;
    this.#cancelTimer();
    this.#isOpen = true;
    for (const { handlers } of this.#channels) handlers.onOpen();
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
    if (sentAt) for (const { handlers } of this.#channels) handlers.onPong(sentAt);
  }

  #handleFrames(text: string): void {
    for (const incoming of readIncoming(text)) {
      switch (incoming.kind) {
        case "result":
          this.#finishPending(
            incoming.id,
            ({ name }) => answeredOutcome(name, incoming.result) as RequestOutcome<never>,
          );
          break;
        case "error":
          this.#finishPending(incoming.id, ({ name }) => refusedOutcome(name, incoming.error));
          break;
        case "notification":
          for (const channel of this.#channels) channel.receive(incoming.notification);
          break;
        case "mark":
          // Everything before the mark was read.
          this.notify(flowReadMethod, { mark: incoming.mark });
          break;
        case "unknown":
          for (const { handlers } of this.#channels) handlers.onProblem(incoming.message);
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
    this.#bound.keepAsked(this.#pending.size * answerChars);
    pending?.finish(outcome);
  }

  #end(code: number, message: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancelTimer();
    this.#socket.close(code === closeCodes.flood ? code : 1000);
    const isProtocolError = code === closeCodes.protocol;
    for (const id of this.#pending.keys())
      this.#finish(id, isProtocolError ? garbledOutcome(message) : lostOutcome(true, message));
    this.#onClosed();
    for (const channel of this.#channels) channel.end({ code, message, isReplaced: false, wasOpen: this.#isOpen });
  }
}

/** Part of a socket that one chat, or a client without a chat, uses. */
export class Channel {
  readonly handlers: SocketHandlers;
  /** Names of those that it has opened. */
  readonly watches = new Set<string>();
  readonly #socket: EdgeSocket;
  #chat: string | null;
  #hasEnded = false;

  constructor(socket: EdgeSocket, chat: string | null, handlers: SocketHandlers) {
    this.#socket = socket;
    this.#chat = chat;
    this.handlers = handlers;
  }

  get chat(): string | null {
    return this.#chat;
  }

  /** Before the chat is registered: what concerns it is delivered here from then on. */
  represent(chat: string | null): void {
    if (this.#chat !== null && this.#chat !== chat) this.notify(leaveMethod, { chat: this.#chat });
    this.#chat = chat;
  }

  readonly send: SendRequest = async (name, input, timeoutMs) => {
    if (this.#hasEnded) return lostOutcome(false, "not connected");
    if (name === "state.watch" && "watch" in input) this.watches.add(input.watch);
    if (name === "state.unwatch" && "watch" in input) this.watches.delete(input.watch);
    return this.#socket.send(name, input, timeoutMs, this);
  };

  notify(method: string, params: object): void {
    if (!this.#hasEnded) this.#socket.notify(method, params);
  }

  keepAlive(intervalMs: number): void {
    if (!this.#hasEnded) this.#socket.keepAlive(intervalMs);
  }

  check(): void {
    if (!this.#hasEnded) this.#socket.check();
  }

  receive(notification: Notification): void {
    const { method } = notification;
    const chat = notification.params && "chat" in notification.params ? notification.params.chat : null;
    if (chat !== null && chat !== this.#chat) return;
    if (method !== "chat.offline" && method !== "chat.replaced") return this.handlers.onNotification(notification);
    // The coordinator has taken the chat off this socket.
    this.#chat = null;
    const isReplaced = method === "chat.replaced";
    this.close(1000, isReplaced ? "another connection of this chat took over" : "the chat is offline", isReplaced);
  }

  close(code: number, message: string, isReplaced = false): void {
    if (this.#hasEnded) return;
    const closed = { code, message, isReplaced, wasOpen: this.#socket.isOpen };
    this.end(closed);
    this.#socket.remove(this, closed);
  }

  end(closed: SocketClose): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#socket.abandon(this, closed.message);
    this.handlers.onClosed(closed);
  }
}
