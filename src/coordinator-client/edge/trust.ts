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

/** 500 ms plus 1 % of the ttl, at most a quarter of it. */
export function marginMs(ttlMs: number): number {
  return Math.min(ttlMs / 4, 500 + ttlMs / 100);
}
