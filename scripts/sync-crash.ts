/** `npm run sync:crash -- --rounds 1000`: machine and coordinator are killed, round by round, while one syncs with the other. */
import { parseArgs } from "node:util";
import { longRun } from "./long-run.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "1000" } } });
if (!/^[1-9]\d{0,5}$/.test(values.rounds)) {
  console.error("--rounds is a number from 1 on.");
  process.exit(2);
}
longRun("sync-crash.test.ts", { SHIM_SYNC_CRASH_ROUNDS: values.rounds });
