import type { Notification } from "../../contract/protocol.ts";
import type { Failure } from "../../contract/errors.ts";
import { messageOf } from "../../shared/error.ts";

/** fallback: over HTTP, since no socket opens. closed: for good. */
export type ConnectionState = "disconnected" | "connecting" | "connected" | "fallback" | "closed";

/** No event but a notification holds a text of another chat, and none a token. */
export type EdgeEvent =
  | { readonly type: "state"; readonly state: ConnectionState; readonly reason: string; readonly retryInMs?: number }
  | { readonly type: "registered"; readonly incarnation: number }
  /** Another process owns the chat, or it may not be registered: this one must stop. */
  | { readonly type: "chat-lost"; readonly error: Failure }
  /** Sleep, or a clock was set: nothing confirmed before counts. */
  | { readonly type: "clock-jump"; readonly byMs: number }
  | { readonly type: "notified"; readonly notification: Notification }
  /** Another process has changed something. */
  | { readonly type: "changed" }
  | { readonly type: "unread" }
  | { readonly type: "problem"; readonly message: string };

/** Whether requests get through. */
export function isUp(state: ConnectionState): boolean {
  return state === "connected" || state === "fallback";
}

/** A listener that throws is reported as a problem; the others still run. */
export class EdgeEvents {
  readonly #listeners = new Set<(event: EdgeEvent) => void>();

  on(listener: (event: EdgeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  emit(event: EdgeEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        const message = `a listener threw: ${messageOf(error)}`;
        if (event.type !== "problem") this.emit({ type: "problem", message });
      }
    }
  }
}
