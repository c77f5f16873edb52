import { parseArgs } from "node:util";
import { bugNamed } from "./bugs.ts";
import { simulate, type Outcome, play, type Command } from "./days.ts";

/**
 * `npm run sim -- --events N --seed S [--seeds K] [--bug name] [--day N] [--trace N]`: K long runs, each from its seed.
 * `npm run sim -- --replay '[...]' [--bug name] [--trace N]`: a list of commands that fast-check has found.
 */
const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    bug: { type: "string" },
    day: { type: "string" },
    replay: { type: "string" },
    trace: { type: "string", default: "0" },
  },
});

const bug = values.bug === undefined ? null : bugNamed(values.bug);
const lines = Number(values.trace);
const tail: string[] = [];

function trace(line: string): void {
  tail.push(line);
  if (tail.length > 2 * lines) tail.splice(0, lines);
}

function report({ violation, events }: Outcome, what: string, args: string): void {
  for (const line of tail.splice(0).slice(-lines)) console.log(line);
  console.log(`${what}: ${events.toLocaleString("en")} events${violation ? "" : "; every rule held"}`);
  if (!violation) return;
  process.exitCode = 1;
  console.error(`violation after event ${violation.event}, at ${violation.atMs} ms: ${violation.message}`);
  const planted = values.bug === undefined ? "" : ` --bug ${values.bug}`;
  console.error(`again: npm run sim -- ${args}${planted} --trace 200`);
}

const watch = lines > 0 ? { trace } : {};
if (values.replay !== undefined) {
  const outcome = await play(JSON.parse(values.replay) as Command[], bug, watch.trace);
  report(outcome, "list", `--replay '${values.replay}'`);
} else {
  const day = values.day === undefined ? {} : { day: Number(values.day) };
  for (let seed = Number(values.seed); seed < Number(values.seed) + Number(values.seeds); seed++) {
    const outcome = await simulate({ seed, events: Number(values.events), bug, ...day, ...watch });
    const length = values.day === undefined ? "" : ` --day ${values.day}`;
    report(outcome, `seed ${seed}`, `--events ${values.events} --seed ${seed}${length}`);
  }
}
