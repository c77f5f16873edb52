/** `npm run race -- --rounds 1000`: a hundred clients claim the same task, round by round, at a real runtime. */
import { parseArgs } from "node:util";
import { longRun } from "./long-run.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "1000" } } });
if (!/^[1-9]\d{0,5}$/.test(values.rounds)) {
  console.error("--rounds is a number from 1 on.");
  process.exit(2);
}
longRun("claim-race.test.ts", { SHIM_RACE_ROUNDS: values.rounds });
