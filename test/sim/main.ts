import { parseArgs } from "node:util";
import { simulate } from "./days.ts";

/** `npm run sim -- --events N --seed S [--seeds K] [--day N] [--trace N]`: K long runs, each from its seed. */
const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    day: { type: "string" },
    trace: { type: "string", default: "0" },
  },
});
const day = values.day === undefined ? {} : { day: Number(values.day) };
const lines = Number(values.trace);

for (let seed = Number(values.seed); seed < Number(values.seed) + Number(values.seeds); seed++) {
  const tail: string[] = [];
  const trace = (line: string): void => {
    tail.push(line);
    if (tail.length > 2 * lines) tail.splice(0, lines);
  };
  const watch = lines > 0 ? { trace } : {};
  const { violation, events } = await simulate({ seed, events: Number(values.events), ...day, ...watch });
  for (const line of tail.slice(-lines)) console.log(line);
  console.log(`seed ${seed}: ${events.toLocaleString("en")} events${violation ? "" : "; every rule held"}`);
  if (!violation) continue;
  process.exitCode = 1;
  console.error(`violation after event ${violation.event}, at ${violation.atMs} ms: ${violation.message}`);
  const more = values.day === undefined ? "" : ` --day ${values.day}`;
  console.error(`again: npm run sim -- --events ${values.events} --seed ${seed}${more} --trace 200`);
}
