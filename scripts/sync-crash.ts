/** `npm run sync:crash -- --rounds 1000`: machine and coordinator are killed, round by round, while one syncs with the other. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "1000" } } });
if (!/^[1-9]\d{0,5}$/.test(values.rounds)) {
  console.error("--rounds is a number from 1 on.");
  process.exit(2);
}
const root = join(import.meta.dirname, "..");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const ran = spawnSync(process.execPath, [vitest, "run", "--project", "e2e", "test/e2e/sync-crash.test.ts"], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, SHIM_SYNC_CRASH_ROUNDS: values.rounds },
});
process.exitCode = ran.status ?? 1;
