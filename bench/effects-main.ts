/** `npm run bench -- effects`: what the guard before repeated effects asks and lets through, in the model of the tests. Prints a table and writes bench/results-effects.json. */
import { killFigures } from "#harness/effects/kill-model.ts";
import type { Row } from "./figures.ts";
import { Parts } from "./parts.ts";

const kills = 1_000;
const maxShareInVain = 0.02;

function figures(outlives: number, about: string): Row[] {
  const of = (guard: "off" | "known" | "all") => killFigures({ guard, outlives }, kills, 1);
  const [off, known, all] = [of("off"), of("known"), of("all")];
  const text = ({ asked, calls, inVain }: typeof all): string =>
    `asked before ${asked} of ${calls} calls, ${inVain} in vain (${((100 * inVain) / calls).toFixed(1)} %)`;
  const group = `effects: ${kills} kills, ${about}`;
  const against = `${off.repeated} repeated without the guard`;
  return [
    {
      group,
      name: "guard all: repeated",
      figure: String(all.repeated),
      against,
      goal: "0",
      isReached: all.repeated === 0,
    },
    {
      group,
      name: "guard all: asked",
      figure: text(all),
      goal: "in vain under 2 %",
      isReached: all.inVain / all.calls < maxShareInVain,
    },
    { group, name: "guard known: repeated", figure: String(known.repeated), against },
    {
      group,
      name: "guard known: asked",
      figure: text(known),
      goal: "in vain under 2 %",
      isReached: known.inVain / known.calls < maxShareInVain,
    },
  ];
}

const parts = new Parts();
await parts.run("outlived", async () => figures(1, "the running command goes on"));
await parts.run("mixed", async () => figures(0.7, "7 of 10 running commands go on"));
await parts.run("down", async () => figures(0, "the running command is killed too"));
parts.report("bench/results-effects.json");
