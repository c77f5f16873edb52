/** Pure. Stored. Add fields as optional. */
export interface Performance {
  readonly successRate: number;
  readonly durationMs: number | null;
}

export interface RunOutcome {
  readonly isSuccess: boolean;
  readonly durationMs: number;
}

/**
 * Optimistic initial values: new chats get work (Sutton and Barto, "Reinforcement Learning", 2.6).
 */
export const initialPerformance: Performance = { successRate: 1, durationMs: null };

/** The newest five outcomes count two thirds of all: 1 - 0.8^5. */
const smoothing = 0.2;

/**
 * [PL13] Exponential smoothing (NIST/SEMATECH e-Handbook of Statistical Methods, 6.4.3.1). Failures
 * leave the duration: fast failures would rank as fastest.
 */
export function update(performance: Performance, { isSuccess, durationMs }: RunOutcome): Performance {
  const successRate = performance.successRate + smoothing * ((isSuccess ? 1 : 0) - performance.successRate);
  if (!isSuccess) return { ...performance, successRate };
  const previousMs = performance.durationMs ?? durationMs;
  return { successRate, durationMs: previousMs + smoothing * (durationMs - previousMs) };
}

/** [PL12] Ranks the better first. Tenths, so that a small difference cannot outweigh duration. */
export function comparePerformance(one: Performance, other: Performance): number {
  return tenths(other) - tenths(one) || (one.durationMs ?? 0) - (other.durationMs ?? 0);
}

export function hasRankOf(performance: Performance, isSuccess: boolean): boolean {
  return tenths(performance) === (isSuccess ? 10 : 0);
}

function tenths({ successRate }: Performance): number {
  return Math.round(successRate * 10);
}
