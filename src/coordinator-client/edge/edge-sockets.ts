import type { Notification } from "../../contract/frames.ts";
import { leaveMethod, maxChatsPerSocket, maxPingIntervalMs } from "../../contract/protocol.ts";
import type { Platform } from "./platform.ts";
import { lostOutcome, type SendRequest } from "./request-outcome.ts";
import { EdgeSocket, type EdgeSocketOptions, type SocketClose, type SocketHandlers } from "./socket.ts";

type SocketPlatform = Pick<Platform, "clock" | "setTimer" | "openSocket">;

/** [EC60] Sockets of a process: its chats of one workspace share one, as long as it has room. */
export class EdgeSockets {
  readonly #sockets = new Set<SharedSocket>();

  /** @param handlers as of a socket of its own: called later, never within the call */
  open(platform: SocketPlatform, options: EdgeSocketOptions, handlers: SocketHandlers): Channel {
    const key = `${options.token} ${options.address.socket}`;
    for (const socket of this.#sockets) if (socket.key === key && socket.hasRoom) return socket.add(handlers);
    const socket = new SharedSocket(key, platform, options, () => void this.#sockets.delete(socket));
    this.#sockets.add(socket);
    return socket.add(handlers);
  }
}

class SharedSocket {
  readonly key: string;
  readonly socket: EdgeSocket;
  readonly #platform: SocketPlatform;
  readonly #channels = new Set<Channel>();
  #pingIntervalMs = maxPingIntervalMs;

  constructor(key: string, platform: SocketPlatform, options: EdgeSocketOptions, onClosed: () => void) {
    this.key = key;
    this.#platform = platform;
    this.socket = new EdgeSocket(platform, options, {
      onOpen: () => this.#each(({ handlers }) => handlers.onOpen()),
      onClosed: (closed) => {
        onClosed();
        this.#each((channel) => channel.end(closed));
      },
      onNotification: (notification) => this.#each((channel) => channel.receive(notification)),
      onPong: (sentAt) => this.#each(({ handlers }) => handlers.onPong(sentAt)),
      onProblem: (message) => this.#each(({ handlers }) => handlers.onProblem(message)),
    });
  }

  get hasRoom(): boolean {
    return this.#channels.size < maxChatsPerSocket;
  }

  add(handlers: SocketHandlers): Channel {
    const channel = new Channel(this, handlers);
    this.#channels.add(channel);
    const open = (): void => {
      if (this.#channels.has(channel)) handlers.onOpen();
    };
    if (this.socket.isOpen) this.#platform.setTimer(open, 0);
    return channel;
  }

  /** The last one closes the socket. */
  remove(channel: Channel, { code, message }: Pick<SocketClose, "code" | "message">): void {
    this.#channels.delete(channel);
    if (this.#channels.size === 0) return this.socket.close(code, message);
    for (const watch of channel.watches) this.socket.notify("state.unwatch", { watch });
    if (channel.chat !== null) this.socket.notify(leaveMethod, { chat: channel.chat });
  }

  keepAlive(intervalMs: number): void {
    this.#pingIntervalMs = Math.min(this.#pingIntervalMs, intervalMs);
    this.socket.keepAlive(this.#pingIntervalMs);
  }

  #each(work: (channel: Channel) => void): void {
    for (const channel of this.#channels) work(channel);
  }
}

/** Part of a socket that one chat, or a client without a chat, uses. */
export class Channel {
  readonly handlers: SocketHandlers;
  /** Names of those that it has opened. */
  readonly watches = new Set<string>();
  readonly #shared: SharedSocket;
  #chat: string | null = null;
  #hasEnded = false;

  constructor(shared: SharedSocket, handlers: SocketHandlers) {
    this.#shared = shared;
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
    return this.#shared.socket.send(name, input, timeoutMs, this);
  };

  notify(method: string, params: object): void {
    if (!this.#hasEnded) this.#shared.socket.notify(method, params);
  }

  /** [EC3] */
  keepAlive(intervalMs: number): void {
    if (!this.#hasEnded) this.#shared.keepAlive(intervalMs);
  }

  check(): void {
    if (!this.#hasEnded) this.#shared.socket.check();
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
    const closed = { code, message, isReplaced, wasOpen: this.#shared.socket.isOpen };
    this.end(closed);
    this.#shared.remove(this, closed);
  }

  end(closed: SocketClose): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#shared.socket.abandon(this, closed.message);
    this.handlers.onClosed(closed);
  }
}
