import type { Refusal } from "../contract/errors.ts";

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
export interface Cost {
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

  take(token: string, share: Share, perSecond: number, now: number, count = 1): Refusal | null {
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
