import type { Refusal } from "../../contract/errors.ts";
import { messageOf } from "../../shared/error.ts";
import type { Notification } from "./frames.ts";

/**
 * disconnected: nothing works, and it tries again by itself; connecting; connected: over a socket; fallback: over HTTP, since sockets do not
 * get through; closed: for ever.
 */
export type ConnectionState = "disconnected" | "connecting" | "connected" | "fallback" | "closed";

/** How the client is. No event holds a token or a text of another chat. */
export type EdgeEvent =
  | {
      readonly type: "state";
      readonly state: ConnectionState;
      readonly previous: ConnectionState;
      readonly reason: string;
      /** When it tries again. */
      readonly retryInMs?: number;
    }
  | {
      readonly type: "registered";
      readonly chat: string;
      readonly incarnation: number;
      readonly isNew: boolean;
      /** It has counted as gone since the last time, as whatever process. */
      readonly wasOffline: boolean;
    }
  /** Another process works as this chat, or it may not be registered any more: this one must stop. */
  | { readonly type: "chat-lost"; readonly chat: string; readonly error: Refusal }
  /** A ping, or a heartbeat over HTTP, was answered. */
  | { readonly type: "alive"; readonly roundTripMs: number }
  /** The machine slept, or a clock was set; what is held is confirmed before it is trusted again. */
  | { readonly type: "clock-jump"; readonly byMs: number }
  | { readonly type: "right"; readonly name: string; readonly state: LeaseState; readonly reason: string }
  | { readonly type: "problem"; readonly message: string };

/** Of a lease or a leadership. doubtful: nothing may be done on it until it is confirmed. */
export type LeaseState = "trusted" | "doubtful" | "lost" | "released";

/** What the parts of the client tell each other. */
export type Signal =
  | Notification
  /** Requests get through; `way` is another number after each interruption. */
  | { readonly method: "usable" }
  | { readonly method: "registered" }
  | { readonly method: "unread" }
  | { readonly method: "jump" }
  | { readonly method: "closed"; readonly reason: string };

export class Emitter<Event> {
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #onListenerError: (message: string) => void;

  /** @param onListenerError hears of a listener that throws; the others are told nevertheless */
  constructor(onListenerError: (message: string) => void) {
    this.#onListenerError = onListenerError;
  }

  /** @returns ends it */
  on(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  emit(event: Event): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#onListenerError(`a listener threw: ${messageOf(error)}`);
      }
    }
  }
}

/** [EC14] A listener that throws is told to the others as a problem; one that throws at a problem is not heard of again. */
export function createEdgeEvents(): Emitter<EdgeEvent> {
  let isReporting = false;
  const events = new Emitter<EdgeEvent>((message) => {
    if (isReporting) return;
    isReporting = true;
    events.emit({ type: "problem", message });
    isReporting = false;
  });
  return events;
}
