/** Law: pure. What a chat may believe that it holds, by two clocks of its machine, neither of which is right. */

export interface Clock {
  /** Ms from any point in time; never goes back, but may stand still while the machine sleeps. */
  monotonic(): number;
  /** Epoch ms; may be wrong, and may be set. */
  wall(): number;
}

/** One moment by both clocks. */
export interface Instant {
  readonly monotonic: number;
  readonly wall: number;
}

export function readClock(clock: Clock): Instant {
  return { monotonic: clock.monotonic(), wall: clock.wall() };
}

/** Ms, by the clock that says more: the one stops in sleep, the other can be set back. */
export function elapsedMs(since: Instant, now: Instant): number {
  return Math.max(now.monotonic - since.monotonic, now.wall - since.wall);
}

/** More than this between the two clocks is sleep, or a clock that was set, in ms. */
const minJumpMs = 5_000;

/** By how much the clocks differ over a time; 0 where it is no more than drift. */
export function jumpedMs(since: Instant, now: Instant): number {
  const differenceMs = now.wall - since.wall - (now.monotonic - since.monotonic);
  return Math.abs(differenceMs) > minJumpMs ? differenceMs : 0;
}

/** Something that the coordinator keeps for us for a while from a moment on. */
export interface Trust {
  /** When the request was sent whose answer says so: the coordinator counts from a later moment. */
  readonly from: Instant;
  readonly forMs: number;
}

/**
 * @param sentAt start of the request, or of the ping
 * @param remainingMs what is left of it by its answer
 * @param ttlMs the whole time, of which the margin is a part: for clocks that drift, and for the act that follows the look
 */
export function toTrust(sentAt: Instant, remainingMs: number, ttlMs: number): Trust {
  // Where the coordinator's clock was set back more is left than there ever was: once it is right again, that is over at once.
  return { from: sentAt, forMs: Math.min(remainingMs, ttlMs) - marginMs(ttlMs) };
}

/** Half a second and a hundredth; of a short time a quarter. */
export function marginMs(ttlMs: number): number {
  return Math.min(ttlMs / 4, 500 + ttlMs / 100);
}

/** What is left of it; 0 when it is over, and after a jump of a clock, until it is confirmed. */
export function trustedForMs(trust: Trust, now: Instant): number {
  return jumpedMs(trust.from, now) === 0 ? Math.max(0, trust.forMs - elapsedMs(trust.from, now)) : 0;
}
