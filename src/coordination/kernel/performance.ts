/** How a chat has done with tasks of one type, the newer ones counting more. Pure. */

/** Stored. Add fields as optional. */
export interface Performance {
  /** Expected share of successes, 0 to 1. */
  readonly successRate: number;
  /** Expected run of a success, in ms; null before the first. */
  readonly durationMs: number | null;
}

export interface RunOutcome {
  readonly isSuccess: boolean;
  /** From start to end, in ms. */
  readonly durationMs: number;
}

/** A chat that is not known yet ranks as one that has never failed and is fast: it gets work, and is known (optimistic initial values: Sutton and Barto, "Reinforcement Learning", 2.6). */
export const initialPerformance: Performance = { successRate: 1, durationMs: null };

/** The newest five outcomes count two thirds of all: 1 - 0.8^5. */
const smoothing = 0.2;

/**
 * [PL13] Exponential smoothing: new = old + share * (outcome - old) (NIST/SEMATECH e-Handbook of Statistical Methods, 6.4.3.1). A failure does not
 * move the duration: who fails fast would be the fastest.
 */
export function update(performance: Performance, { isSuccess, durationMs }: RunOutcome): Performance {
  const successRate = performance.successRate + smoothing * ((isSuccess ? 1 : 0) - performance.successRate);
  if (!isSuccess) return { ...performance, successRate };
  const previousMs = performance.durationMs ?? durationMs;
  return { successRate, durationMs: previousMs + smoothing * (durationMs - previousMs) };
}

/** [PL12] Below 0: the first is expected to do better. Success first, in steps of a tenth, so that a small difference in it does not outweigh speed; then the duration. */
export function comparePerformance(one: Performance, other: Performance): number {
  return tenths(other) - tenths(one) || (one.durationMs ?? 0) - (other.durationMs ?? 0);
}

/** Whether outcomes like this one, and no others, would leave it where it ranks by its successes. */
export function hasRankOf(performance: Performance, isSuccess: boolean): boolean {
  return tenths(performance) === (isSuccess ? 10 : 0);
}

function tenths({ successRate }: Performance): number {
  return Math.round(successRate * 10);
}
