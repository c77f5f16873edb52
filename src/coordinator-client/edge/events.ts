import type { Notification } from "../../contract/frames.ts";
import type { CallError } from "../../contract/errors.ts";
import { messageOf } from "../../shared/error.ts";

/** fallback: over HTTP, since no socket opens. closed: for good. */
export type ConnectionState = "disconnected" | "connecting" | "connected" | "fallback" | "closed";

/** No event holds a token or a text of another chat. */
export type EdgeEvent =
  | {
      readonly type: "state";
      readonly state: ConnectionState;
      readonly previous: ConnectionState;
      readonly reason: string;
      readonly retryInMs?: number;
    }
  | {
      readonly type: "registered";
      readonly chat: string;
      readonly incarnation: number;
      readonly isNew: boolean;
      readonly wasOffline: boolean;
    }
  /** Another process owns the chat, or it may not be registered: this one must stop. */
  | { readonly type: "chat-lost"; readonly chat: string; readonly error: CallError }
  | { readonly type: "alive"; readonly roundTripMs: number }
  /** Sleep, or a clock was set; leases are confirmed before they are trusted again. */
  | { readonly type: "clock-jump"; readonly byMs: number }
  | { readonly type: "right"; readonly name: string; readonly state: LeaseState; readonly reason: string }
  | { readonly type: "problem"; readonly message: string };

/** doubtful: must not be relied on until it is confirmed. */
export type LeaseState = "trusted" | "doubtful" | "lost" | "released";

export type Signal =
  | Notification
  | { readonly method: "usable" }
  /** Another process has changed something. */
  | { readonly method: "changed" }
  | { readonly method: "registered" }
  | { readonly method: "unread" }
  | { readonly method: "jump" }
  | { readonly method: "closed"; readonly reason: string };

export class Emitter<Event> {
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #onListenerError: (message: string) => void;

  /** @param onListenerError reports a listener that throws; the others still run */
  constructor(onListenerError: (message: string) => void) {
    this.#onListenerError = onListenerError;
  }

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

/** [EC14] A listener that throws is reported as a problem; never for a problem itself. */
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
