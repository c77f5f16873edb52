import type { Refusal } from "../contract/errors.ts";
import type { Operation } from "../contract/operation.ts";
import { isOperation, operations } from "../contract/operations.ts";
import { keepsWork } from "./effects.ts";
import type { Cost } from "./throttle.ts";

/** Waits from which on an operation is refused, in ms. */
const maxWaitMs = { postponable: 1_000, usual: 4_000 } as const;
/** About what the work takes: a request, a row written, a character read or answered. */
const msPerRequest = 0.1;
const msPerRow = 1 / 160;
const msPerChar = 1 / 25_000;
const minRetryMs = 1_000;
const maxRetryMs = 10_000;

/**
 * Estimates how long requests wait, in memory only: what the oldest request of the event has
 * waited, and what the event has done since. The clock stands still during an event.
 */
export class LoadShedder {
  #waitedMs = 0;
  #doneMs = 0;
  #refused = 0;

  beginEvent(waitedMs: number): void {
    this.#waitedMs = waitedMs;
    this.#doneMs = 0;
    this.#refused = 0;
  }

  add({ requests, chars, rows, micros }: Cost & { readonly requests: number }): void {
    this.#doneMs += requests * msPerRequest + chars * msPerChar + rows * msPerRow + micros / 1_000;
  }

  refuse(name: string): Refusal | null {
    if (this.#waitedMs + this.#doneMs < maxWaitOf(name)) return null;
    this.#refused += 1;
    return {
      code: "overloaded",
      message: `the workspace has more to do than it can, so ${name} is refused`,
      // One ms more for each, so that they do not return together.
      retryAfterMs: Math.min(maxRetryMs, minRetryMs + this.#refused),
    };
  }
}

/** Infinite for operations that keep or end work, and those of an admin. */
function maxWaitOf(name: string): number {
  if (!isOperation(name)) return Infinity;
  const { isPostponable, scope }: Operation = operations[name];
  if (isPostponable) return maxWaitMs.postponable;
  return keepsWork(name) || scope === "admin" ? Infinity : maxWaitMs.usual;
}
