/** `npm run bench -- effects`: what the guard before repeated effects asks and lets through, in the model of the tests. Prints a table and writes bench/results-effects.json. */
import { type KillFigures, killFigures } from "#harness/effects/kill-model.ts";
import type { Row } from "./figures.ts";
import { measureParts } from "./parts.ts";
import { scaled } from "./size.ts";

const kills = scaled(1_000, 20);
const maxShareInVain = 0.02;

function figures(outlives: number, about: string): Row[] {
  const [off, on] = (["off", "on"] as const).map((guard) => killFigures({ guard, outlives }, kills, 1)) as [
    KillFigures,
    KillFigures,
  ];
  const group = `effects: ${kills} kills, ${about}`;
  const share = on.inVain / on.calls;
  return [
    {
      group,
      n: on.calls,
      name: "guard on: repeated",
      figure: String(on.repeated),
      against: `${off.repeated} repeated without the guard`,
      goal: "0",
      isReached: on.repeated === 0,
    },
    {
      group,
      n: on.calls,
      name: "guard on: asked",
      figure: `before ${on.asked} of ${on.calls} calls, ${on.inVain} in vain (${(100 * share).toFixed(1)} %)`,
      against: `${on.harmless} ran again that their target does only once`,
      goal: "in vain under 2 %",
      isReached: share < maxShareInVain,
    },
  ];
}

const parts = {
  outlived: async () => figures(1, "the running command goes on"),
  mixed: async () => figures(0.7, "7 of 10 running commands go on"),
  down: async () => figures(0, "the running command is killed too"),
};
await measureParts("bench/results-effects.json", parts, process.argv.slice(2));
