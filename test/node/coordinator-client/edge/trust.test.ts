import * as fc from "fast-check";
import { expect, it } from "vitest";
import {
  elapsedMs,
  jumpedMs,
  marginMs,
  trustedForMs,
  toTrust,
  type Instant,
} from "#src/coordinator-client/edge/trust.ts";
import { fullJitter } from "#src/shared/backoff.ts";

const t0: Instant = { monotonic: 1_000, wall: 1_700_000_000_000 };

function later(monotonicMs: number, wallMs = monotonicMs): Instant {
  return { monotonic: t0.monotonic + monotonicMs, wall: t0.wall + wallMs };
}

it("[EC12] trust lasts from the start of the request for what was left, less a margin", () => {
  const trust = toTrust(t0, 30_000, 30_000);
  expect(trustedForMs(trust, t0)).toBe(29_200);
  expect(trustedForMs(trust, later(29_199))).toBe(1);
  expect(trustedForMs(trust, later(29_200))).toBe(0);
  expect(trustedForMs(toTrust(t0, 10_000, 30_000), later(5_000))).toBe(4_200);
  expect(trustedForMs(toTrust(t0, 300, 30_000), t0)).toBe(0);
  // The coordinator's clock was set back by three hours.
  expect(trustedForMs(toTrust(t0, 10_830_000, 30_000), t0)).toBe(29_200);
});

it("[EC12] the margin is half a second and a hundredth, and a quarter of a short time", () => {
  expect([1_000, 30_000, 3_600_000].map(marginMs)).toEqual([250, 800, 36_500]);
});

it("[EC27] the longer of two clocks counts: monotonic time stops in sleep, the wall clock can be set back", () => {
  expect(elapsedMs(t0, later(1_000, 4_000))).toBe(4_000);
  expect(elapsedMs(t0, later(1_000, -2_000))).toBe(1_000);
  const trust = toTrust(t0, 30_000, 30_000);
  expect(trustedForMs(trust, later(10_000, 14_000))).toBe(15_200);
  expect(trustedForMs(trust, later(10_000, 6_000))).toBe(19_200);
});

it("[EC28] [EC7] after a jump of more than 5 s between the clocks nothing is trusted, in both directions", () => {
  const trust = toTrust(t0, 30_000, 30_000);
  expect(jumpedMs(t0, later(1_000, 6_000))).toBe(0);
  expect(jumpedMs(t0, later(1_000, 6_001))).toBe(5_001);
  expect(jumpedMs(t0, later(1_000, -4_001))).toBe(-5_001);
  expect(trustedForMs(trust, later(1_000, 6_001))).toBe(0);
  expect(trustedForMs(trust, later(1_000, -4_001))).toBe(0);
  expect(trustedForMs(toTrust(later(1_000, 6_001), 30_000, 30_000), later(2_000, 7_001))).toBe(28_200);
});

it("[EC12] [EC27] trust ends before the coordinator's time, unless both clocks are wrong at once", () => {
  const span = fc.integer({ min: 0, max: 100_000 });
  fc.assert(
    fc.property(
      span,
      span,
      fc.integer({ min: -50_000, max: 50_000 }),
      fc.boolean(),
      (awakeMs, sleptMs, setMs, isSet) => {
        // Either the machine slept, or somebody set its clock; after both at once no clock of it is right.
        const now = isSet ? later(awakeMs, awakeMs + setMs) : later(awakeMs, awakeMs + sleptMs);
        const passedMs = isSet ? awakeMs : awakeMs + sleptMs;
        const ttlMs = 30_000;
        if (trustedForMs(toTrust(t0, ttlMs, ttlMs), now) > 0) expect(passedMs).toBeLessThan(ttlMs);
      },
    ),
  );
});

it("[EC20] full jitter lies below the doubled base and the cap, and uses all of it", () => {
  const backoff = { baseMs: 100, capMs: 5_000 };
  expect([0, 1, 2, 5, 6, 60, 10_000].map((attempt) => fullJitter(backoff, attempt, () => 0.999_999))).toEqual([
    99, 199, 399, 3_199, 4_999, 4_999, 4_999,
  ]);
  expect(fullJitter(backoff, 3, () => 0)).toBe(0);
  fc.assert(
    fc.property(fc.nat(2_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
      const ms = fullJitter(backoff, attempt, () => random);
      expect(ms).toBeGreaterThanOrEqual(0);
      expect(ms).toBeLessThan(Math.min(5_000, 100 * 2 ** attempt));
      expect(Number.isInteger(ms)).toBe(true);
    }),
  );
});
