import { uuidv7 } from "../../shared/ids.ts";
import type { Clock } from "./trust.ts";

/** All that the client uses of the world. Tests give their own; nothing else in this folder reads a clock, a random number or the network. */
export interface Platform {
  readonly clock: Clock;
  /** Calls `work` once after so many ms. @returns cancels it; also after it was called */
  readonly setTimer: (work: () => void, ms: number) => () => void;
  /** At least 0, below 1. */
  readonly random: () => number;
  readonly fetch: Fetch;
  readonly openSocket: OpenSocket;
}

/** The part of `fetch` that is used. */
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
  /** Comes once, also when the connection was never opened. */
  readonly onClose: (code: number, reason: string) => void;
}

export interface Socket {
  send(text: string): void;
  /** Events may still come afterwards. */
  close(code: number): void;
}

/** Events come later, never within the call. */
export type OpenSocket = (url: string, headers: Record<string, string>, events: SocketEvents) => Socket;

export function sleep({ setTimer }: Pick<Platform, "setTimer">, ms: number): Promise<void> {
  return new Promise((resolve) => void setTimer(resolve, ms));
}

/** Of a request. */
export function newId({ random, clock }: Pick<Platform, "random" | "clock">): string {
  return uuidv7(
    clock.wall(),
    Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256)),
  );
}
