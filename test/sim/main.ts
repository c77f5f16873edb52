import { parseArgs } from "node:util";
import { bugNamed } from "./bugs.ts";
import { simulate, type Outcome } from "./run.ts";
import { play, type Command } from "./script.ts";

/**
 * `npm run sim -- --events N --seed S [--seeds K] [--bug name] [--day N] [--trace N]`: one long run, or K of them, each from its seed.
 * `npm run sim -- --replay '[...]' [--bug name]`: a list of commands that fast-check has found.
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
    counts: { type: "boolean", default: false },
  },
});

const bug = values.bug === undefined ? null : bugNamed(values.bug);
const traceLines = Number(values.trace);

const tail: string[] = [];
const trace =
  traceLines === 0
    ? undefined
    : (line: string): void => {
        tail.push(line);
        if (tail.length > 2 * traceLines) tail.splice(0, traceLines);
      };

function report(outcome: Outcome, again: string): void {
  if (values.counts) {
    for (const [name, count] of [...outcome.counts].sort((a, b) => b[1] - a[1])) console.log(`${count}\t${name}`);
  }
  const { violation } = outcome;
  if (!violation) return;
  process.exitCode = 1;
  console.error(`violation after event ${violation.event}, at ${violation.atMs} ms: ${violation.message}`);
  console.error(`again: ${again}`);
}

async function run(seed: number): Promise<void> {
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  const options = {
    seed,
    events: Number(values.events),
    bug,
    day: values.day === undefined ? undefined : Number(values.day),
    trace,
  };
  const outcome = await simulate(options);
  const used = process.cpuUsage(cpu);
  const perSecond = (ms: number): string => Math.round((outcome.events / ms) * 1_000).toLocaleString("en");
  for (const line of tail.splice(0).slice(-traceLines)) console.log(line);
  console.log(
    `seed ${seed}: ${outcome.events.toLocaleString("en")} events, ${perSecond(performance.now() - began)} a second (${perSecond((used.user + used.system) / 1_000)} a second of the processor)${outcome.violation ? "" : "; every rule held"}`,
  );
  const rest = `${values.bug === undefined ? "" : ` --bug ${values.bug}`}${values.day === undefined ? "" : ` --day ${values.day}`}`;
  report(outcome, `npm run sim -- --events ${values.events} --seed ${seed}${rest} --trace 200`);
}

async function replay(list: string): Promise<void> {
  const outcome = await play(JSON.parse(list) as Command[], bug, trace);
  for (const line of tail.splice(0).slice(-traceLines)) console.log(line);
  console.log(outcome.violation ? "the list breaks a rule" : "every rule held");
  report(outcome, `npm run sim -- --replay '${list}' --trace 200`);
}

if (values.replay !== undefined) await replay(values.replay);
else for (let seed = Number(values.seed); seed < Number(values.seed) + Number(values.seeds); seed++) await run(seed);
