/** `node scripts/supervise-kills.ts --rounds 200 --seed 7`: a supervised Claude Code is killed again and again, at the built programs. */
import { parseArgs } from "node:util";
import { longRun } from "./long-run.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "200" }, seed: { type: "string", default: "1" } },
});
if (![values.rounds, values.seed].every((value) => /^[1-9]\d{0,5}$/.test(value))) {
  console.error("--rounds and --seed are numbers from 1 on.");
  process.exit(2);
}
longRun("supervise-kills.test.ts", { SHIM_KILL_ROUNDS: values.rounds, SHIM_KILL_SEED: values.seed });
