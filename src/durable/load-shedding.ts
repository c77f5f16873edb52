import type { Refusal } from "../contract/errors.ts";
import { isOperation, operations, type OperationName } from "../contract/operations.ts";
import { keepsWork } from "./effects.ts";

/** Waits from which on an operation is refused, in ms. */
const maxWaitMs = { postponable: 250, usual: 1_000 } as const;
/** About what the work takes: a request, a row written, a character read or answered. */
const msPerRequest = 0.1;
const msPerRow = 1 / 160;
const msPerChar = 1 / 25_000;
const minRetryMs = 1_000;
const maxRetryMs = 10_000;

/** What adds to the workspace and loses nothing by coming later. */
const postponable: ReadonlySet<string> = new Set<OperationName>([
  "tasks.submit",
  "tasks.replay",
  "plans.submit",
  "messages.send",
  "state.set",
  "state.update",
  "sync.begin",
  "sync.push",
  "sync.put-files",
]);

interface Work {
  readonly requests: number;
  readonly chars: number;
  readonly rows: number;
}

/**
 * [DO54] Estimates how long requests wait, in memory only: what the oldest request of the event has
 * waited, and what the event has done since. The clock stands still during an event.
 */
export class LoadShedder {
  #waitMs = 0;
  #refused = 0;

  beginEvent(waitedMs: number): void {
    this.#waitMs = waitedMs;
    this.#refused = 0;
  }

  add({ requests, chars, rows }: Work): void {
    this.#waitMs += requests * msPerRequest + chars * msPerChar + rows * msPerRow;
  }

  refuse(name: string): Refusal | null {
    if (this.#waitMs < maxWaitOf(name)) return null;
    this.#refused += 1;
    return {
      code: "overloaded",
      message: `the workspace has more to do than it can, so ${name} is refused`,
      // One ms more for each, so that they do not return together.
      retryAfterMs: Math.min(maxRetryMs, minRetryMs + this.#refused),
    };
  }
}

/** [DO52] [DO53] What keeps or ends work is never refused, nor what an admin does against the load. */
function maxWaitOf(name: string): number {
  if (postponable.has(name)) return maxWaitMs.postponable;
  const canWait = isOperation(name) && !keepsWork(name) && operations[name].scope !== "admin";
  return canWait ? maxWaitMs.usual : Infinity;
}
