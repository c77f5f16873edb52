import type { Failure } from "../contract/errors.ts";
import { metrics } from "../contract/metrics.ts";
import type { Effect, Operation } from "../contract/operation.ts";
import { operations, type CheckedInputOf, type OperationName, isOperation } from "../contract/operations.ts";
import * as chatRows from "../coordination/kernel/chat-rows.ts";
import type { Sql } from "../shared/sql.ts";

const codes: readonly string[] = metrics.shim_requests_refused_total.labels.code;

/** Requests that one object has refused since its start, by the codes that an operator acts on. */
export class RefusalCounts {
  readonly #counts = new Map(codes.map((code) => [code, 0]));

  add({ code }: Pick<Failure, "code">): void {
    const count = this.#counts.get(code);
    if (count !== undefined) this.#counts.set(code, count + 1);
  }

  all(): readonly (readonly [code: string, count: number])[] {
    return [...this.#counts];
  }
}

/** The effect that an operation with this input has on the workspace. */
export function effectOf<Name extends OperationName>(name: Name, input: CheckedInputOf<Name>, sql: Sql): Effect {
  const operation: Operation = operations[name];
  if (name === "chats.register") {
    const { chat } = input as CheckedInputOf<"chats.register">;
    return chatRows.findLiveness({ sql }, chat) ? "keep" : "grow";
  }
  return operation.effectOf?.(input) ?? operation.effect;
}

/** A chat that lost its connection must register before it can renew anything. */
export function keepsWork(name: OperationName): boolean {
  return operations[name].effect === "keep" || name === "chats.register";
}

/** Burst, as seconds of the sustained rate. */
const burstSeconds = 3;
/** Characters, rows written or microseconds that count as one operation. */
const charsPerOperation = 2_500;
const rowsPerOperation = 4;
const microsPerOperation = 100;
/** Operations as which a request beyond a limit counts, on top of its own. */
const operationsPerLimit = 10;
/** Characters of a refused frame that count as another refusal: they were read anyway. */
const charsPerRefusal = 50_000;
const minRetryMs = 100;

/** keep: operations that keep or end work, budgeted apart from the rest. */
export type Share = "usual" | "keep";

/** Cost of requests beyond their number. */
interface Cost {
  readonly chars: number;
  /** Rows written. */
  readonly rows: number;
  /** Estimated processor time. */
  readonly micros: number;
}

interface Level {
  usual: number;
  keep: number;
  refusals: number;
  capacity: number;
  at: number;
}

/** Token buckets per access token, in memory only: they protect, and decide nothing. */
export class Throttle {
  readonly #levels = new Map<string, Level>();

  take(token: string, share: Share, perSecond: number, now: number, count = 1): Failure | null {
    const level = this.#level(token, perSecond, now);
    if (level[share] >= 1) {
      level[share] -= count;
      return null;
    }
    level.refusals -= 0.1;
    return {
      code: "throttled",
      message: `this token does more than ${perSecond} operations a second; wait, or raise maxOperationsPerSecond`,
      retryAfterMs: Math.max(minRetryMs, Math.ceil(((1 - level[share]) / perSecond) * 1_000)),
      details: { limit: "maxOperationsPerSecond" },
    };
  }

  /** Returns what puts the token back to its present level. */
  keep(token: string, perSecond: number, now: number): () => void {
    const level = this.#level(token, perSecond, now);
    const kept = { ...level };
    return () => void Object.assign(level, kept);
  }

  /** Whether as many operations may run. */
  hasRoom(token: string, share: Share, perSecond: number, now: number, count: number): boolean {
    return this.#level(token, perSecond, now)[share] >= count;
  }

  /** Charges the cost beyond the number of operations; the next ones wait for it. */
  charge(token: string, share: Share, { chars, rows, micros }: Cost): void {
    const level = this.#levels.get(token);
    if (level) level[share] -= chars / charsPerOperation + rows / rowsPerOperation + micros / microsPerOperation;
  }

  /** Charges for a request beyond a limit: its sender is to wait, not to ask again. */
  chargeLimit(token: string, share: Share): void {
    const level = this.#levels.get(token);
    if (level) level[share] -= operationsPerLimit;
  }

  /** Counts a refused frame. @returns whether the token ignores its refusals */
  isFlooding(token: string, chars: number): boolean {
    const level = this.#levels.get(token);
    if (!level) return false;
    level.refusals = Math.max(-level.capacity, level.refusals - 1 - chars / charsPerRefusal);
    return level.refusals < 0;
  }

  /** Wait before a flooding token may open a socket, in ms; 0: none. */
  closedFor(token: string, perSecond: number, now: number): number {
    const { refusals } = this.#level(token, perSecond, now);
    return refusals >= 0 ? 0 : Math.ceil((-refusals / (perSecond / 4)) * 1_000) + 1_000;
  }

  #level(token: string, perSecond: number, now: number): Level {
    const capacity = perSecond * burstSeconds;
    const found = this.#levels.get(token);
    if (!found) {
      const full: Level = { usual: capacity, keep: capacity, refusals: perSecond, capacity, at: now };
      this.#levels.set(token, full);
      return full;
    }
    // A clock that was set back neither adds nor takes. A raised limit applies at once.
    const added = (Math.max(0, now - found.at) / 1_000) * perSecond + Math.max(0, capacity - found.capacity);
    found.at = now;
    found.capacity = capacity;
    found.usual = Math.min(capacity, found.usual + added);
    found.keep = Math.min(capacity, found.keep + added);
    found.refusals = Math.min(perSecond, found.refusals + added / 4);
    return found;
  }
}

/** Waits from which on an operation is refused, in ms. */
const maxWaitMs = { postponable: 1_000, usual: 4_000 } as const;
/** About what the work takes: a request, a row written, a character read or answered. */
const msPerRequest = 0.1;
const msPerRow = 1 / 160;
const msPerChar = 1 / 25_000;
const minShedRetryMs = 1_000;
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

  refuse(name: string): Failure | null {
    if (this.#waitedMs + this.#doneMs < maxWaitOf(name)) return null;
    this.#refused += 1;
    return {
      code: "overloaded",
      message: `the workspace has more to do than it can, so ${name} is refused`,
      // One ms more for each, so that they do not return together.
      retryAfterMs: Math.min(maxRetryMs, minShedRetryMs + this.#refused),
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
