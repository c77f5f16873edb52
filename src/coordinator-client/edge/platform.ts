import { randomBytes } from "node:crypto";
import type { WebSocket } from "ws";
import { setTimer } from "../../platform/timers.ts";
import { closeCodes } from "../../contract/sockets.ts";
import { messageOf } from "../../shared/error.ts";
import { uuidv7 } from "../../shared/ids.ts";
import type { Clock } from "./trust.ts";

/** The only access of this folder to clock, randomness and network; replaced in tests. */
export interface Platform {
  readonly clock: Clock;
  /** Calls `work` once after `ms`. @returns cancels; harmless after the call */
  readonly setTimer: (work: () => void, ms: number) => () => void;
  /** At least 0, below 1. */
  readonly random: () => number;
  readonly fetch: Fetch;
  readonly openSocket: OpenSocket;
}

export type Fetch = (
  url: string,
  init: {
    readonly method: string;
    readonly headers: Record<string, string>;
    readonly body?: string;
    readonly redirect: "error";
    readonly signal: AbortSignal;
  },
) => Promise<FetchResponse>;

export interface FetchResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
}

export interface SocketEvents {
  readonly onOpen: () => void;
  readonly onText: (text: string) => void;
  /** Called once, even if the connection never opened. */
  readonly onClose: (code: number, reason: string) => void;
}

export interface Socket {
  send(text: string): void;
  close(code: number): void;
}

/**
 * Events come later, never within the call.
 * @param maxBytes of a frame, which the other end announces; a longer one ends the socket unread
 */
export type OpenSocket = (
  url: string,
  headers: Record<string, string>,
  events: SocketEvents,
  maxBytes: number,
) => Socket;

export function sleep({ setTimer }: Pick<Platform, "setTimer">, ms: number): Promise<void> {
  return new Promise((resolve) => void setTimer(resolve, ms));
}

export async function pause(platform: Pick<Platform, "setTimer">, ms: number, signal: AbortSignal): Promise<void> {
  const waited = Promise.withResolvers<void>();
  const cancelTimer = platform.setTimer(() => waited.resolve(), ms);
  await untilAborted(waited.promise, signal);
  cancelTimer();
}

/** @returns null when the signal is aborted first */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const aborted = Promise.withResolvers<null>();
  const end = (): void => aborted.resolve(null);
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  return Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener("abort", end));
}

/** @returns null when it takes longer */
export async function within<T>(platform: Pick<Platform, "setTimer">, ms: number, work: Promise<T>): Promise<T | null> {
  const late = Promise.withResolvers<null>();
  const cancelTimer = platform.setTimer(() => late.resolve(null), ms);
  // A pending timer would keep the process alive.
  return Promise.race([work, late.promise]).finally(cancelTimer);
}

export function newId({ random, clock }: Pick<Platform, "random" | "clock">): string {
  return uuidv7(
    clock.wall(),
    Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256)),
  );
}

export function nodePlatform(): Platform {
  return {
    clock: { monotonic: () => performance.now(), wall: () => Date.now() },
    setTimer,
    random: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
    fetch: (url, init) => fetch(url, init),
    openSocket,
  };
}

/** For the answer of the other end to a close, in ms: it keeps the process alive. */
const closeTimeout = 3_000;

/** Node's own WebSocket has no bound of a frame. */
const openSocket: OpenSocket = (url, headers, { onOpen, onText, onClose }, maxPayload) => {
  let socket: WebSocket | null = null;
  let isOpen = false;
  let isClosed = false;
  const closeOnce = (code: number, reason: string): void => {
    if (!isClosed) onClose(code, reason);
    isClosed = true;
  };
  const begin = async (): Promise<void> => {
    const { WebSocket } = await import("ws");
    // Its agent follows the proxies of the environment.
    const { globalAgent: agent } = await (url.startsWith("wss:") ? import("node:https") : import("node:http"));
    if (isClosed) return;
    const options = { headers, agent, maxPayload, closeTimeout, perMessageDeflate: false };
    socket = new WebSocket(url, options);
    socket.addEventListener("open", () => {
      isOpen = true;
      onOpen();
    });
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") onText(data);
    });
    socket.addEventListener("error", ({ message }) => closeOnce(1006, isOpen ? message : "no socket was opened"));
    socket.addEventListener("close", ({ code, reason }) => closeOnce(code, reason));
  };
  begin().catch((error: unknown) => closeOnce(1006, messageOf(error)));
  const close = (code: number): void => {
    if (socket === null) closeOnce(code, "closed before it was opened");
    // An end that floods sends for as long as it is waited for.
    else if (code === closeCodes.flood) socket.terminate();
    else socket.close(code);
  };
  return { send: (text) => socket?.send(text), close };
};
