/** Pure. Trust of a chat in what it holds, by two clocks that may both be wrong. */

export interface Clock {
  /** Ms from any start; never goes back, but may stop during sleep. */
  monotonic(): number;
  wall(): number;
}

export interface Instant {
  readonly monotonic: number;
  readonly wall: number;
}

export function readClock(clock: Clock): Instant {
  return { monotonic: clock.monotonic(), wall: clock.wall() };
}

/** Larger reading in ms: one clock stops during sleep, the other can be set back. */
export function elapsedMs(since: Instant, now: Instant): number {
  return Math.max(now.monotonic - since.monotonic, now.wall - since.wall);
}

/** A larger difference between the clocks is sleep or a set clock, in ms. */
const minJumpMs = 5_000;

/** Difference between the clocks; 0: no more than drift. */
export function jumpedMs(since: Instant, now: Instant): number {
  const differenceMs = now.wall - since.wall - (now.monotonic - since.monotonic);
  return Math.abs(differenceMs) > minJumpMs ? differenceMs : 0;
}

export interface Trust {
  readonly from: Instant;
  readonly forMs: number;
}

/**
 * @param sentAt start of the request or ping
 * @param remainingMs time left at the answer
 * @param ttlMs whole time; its margin allows for drifting clocks and for the action itself
 */
export function toTrust(sentAt: Instant, remainingMs: number, ttlMs: number): Trust {
  // Capped: a coordinator whose clock was set back reports more than the ttl.
  return { from: sentAt, forMs: Math.min(remainingMs, ttlMs) - marginMs(ttlMs) };
}

/** 500 ms plus 1 % of the ttl, at most a quarter of it. */
export function marginMs(ttlMs: number): number {
  return Math.min(ttlMs / 4, 500 + ttlMs / 100);
}

/** 0 once expired, and after a clock jump until it is confirmed. */
export function trustedForMs(trust: Trust, now: Instant): number {
  return jumpedMs(trust.from, now) === 0 ? Math.max(0, trust.forMs - elapsedMs(trust.from, now)) : 0;
}
