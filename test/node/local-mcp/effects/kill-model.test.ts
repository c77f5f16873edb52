import { expect, it } from "vitest";
import { killFigures } from "#harness/effects/kill-model.ts";

it.each([0, 0.7, 1])(
  "[EF7] [EF8] with the guard on no effect is repeated in 1,000 kills, %d of which the command outlives",
  (outlives) => {
    const figures = killFigures({ guard: "all", outlives }, 1_000, 1);
    expect(figures).toMatchObject({ kills: 1_000, repeated: 0 });
    expect(figures.asked).toBeGreaterThan(100);
  },
);

it("[EF7] [EF8] the guard asks in vain before fewer than 2 % of the calls, and never where the outcome is known", () => {
  const all = killFigures({ guard: "all", outlives: 0.7 }, 1_000, 2);
  expect(all.inVain / all.calls).toBeLessThan(0.02);
  const off = killFigures({ guard: "off", outlives: 0.7 }, 300, 3);
  const known = killFigures({ guard: "known", outlives: 0.7 }, 300, 3);
  expect(off.repeated).toBeGreaterThan(50);
  expect(known.repeated).toBeLessThan(off.repeated);
  expect(known.inVain).toBe(0);
});
