import type { Refusal } from "../contract/errors.ts";

/** A share may be used up at once that takes so long to fill again, in seconds. */
const burstSeconds = 3;
/** Characters asked and answered, and rows written, that count as one operation. */
const charsPerOperation = 2_500;
const rowsPerOperation = 4;
/** Characters of a refused frame that count as another refused frame: they were read all the same. */
const charsPerRefusal = 50_000;
const minRetryMs = 100;

/** usual: all that is not of the other; keep: what keeps and ends work, so that it is not held back by the rest. */
export type Share = "usual" | "keep";

/** How much of each share is left, in operations; and how often the token may still be refused before its sockets are closed. */
interface Level {
  usual: number;
  keep: number;
  refusals: number;
  /** A full share. */
  capacity: number;
  at: number;
}

/**
 * [DO23] Token buckets, one for each token of a workspace, so that no participant takes the whole object. In memory: it protects, and decides
 * nothing. At most as many as there are tokens.
 */
export class Throttle {
  readonly #levels = new Map<string, Level>();

  /**
   * @param perSecond operations that the token may do
   * @param count as so many operations it counts
   */
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

  /** What operations have cost beside their number: the next ones wait for it. */
  charge(token: string, { chars, rows }: { readonly chars: number; readonly rows: number }): void {
    const level = this.#levels.get(token);
    if (level) level.usual -= chars / charsPerOperation + rows / rowsPerOperation;
  }

  /** Nothing more is to be sent to it without being asked. */
  isSpent(token: string, perSecond: number, now: number): boolean {
    return this.#level(token, perSecond, now).usual <= 0;
  }

  /** [DO24] A frame of which something was refused. @returns whether the token has been refused so often that it does not listen */
  isFlooding(token: string, chars: number): boolean {
    const level = this.#levels.get(token);
    if (!level) return false;
    level.refusals = Math.max(-level.capacity, level.refusals - 1 - chars / charsPerRefusal);
    return level.refusals < 0;
  }

  /** Until a token whose sockets were closed may open one, in ms; 0: at once. */
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
    // A clock that was set back gives nothing, and takes nothing. A raised limit holds at once.
    const added = (Math.max(0, now - found.at) / 1_000) * perSecond + Math.max(0, capacity - found.capacity);
    found.at = now;
    found.capacity = capacity;
    found.usual = Math.min(capacity, found.usual + added);
    found.keep = Math.min(capacity, found.keep + added);
    found.refusals = Math.min(perSecond, found.refusals + added / 4);
    return found;
  }
}
