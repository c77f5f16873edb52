import { expect, it } from "vitest";
import { killFigures } from "#harness/effects/kill-model.ts";

it.each([0, 0.7, 1])(
  "with the guard on no effect is repeated in 1,000 kills, %d of which the command outlives",
  (outlives) => {
    const figures = killFigures({ guard: "on", outlives }, 1_000, 1);
    expect(figures).toMatchObject({ kills: 1_000, repeated: 0 });
    expect(figures.asked).toBeGreaterThan(100);
  },
);

it.each([0, 0.7, 1])(
  "the guard asks in vain before fewer than 2 % of the calls, %d of whose commands outlive a kill",
  (outlives) => {
    const { inVain, calls } = killFigures({ guard: "on", outlives }, 1_000, 2);
    expect(inVain / calls).toBeLessThan(0.02);
    expect(killFigures({ guard: "off", outlives }, 1_000, 2).repeated).toBeGreaterThan(30);
  },
);
