/** `npm run bench -- capacity`: what one workspace carries, and what a split into several objects would bring. Prints a table and writes bench/results-capacity.json. */
import { parseArgs } from "node:util";
import { oneObject } from "./capacity/one-object.ts";
import { split } from "./capacity/split.ts";
import { measureParts } from "./parts.ts";

const { values, positionals } = parseArgs({
  options: { seed: { type: "string", default: "7" } },
  allowPositionals: true,
});
const parts = { one: oneObject, split: () => split(Number(values.seed)) };
await measureParts("bench/results-capacity.json", parts, positionals);
