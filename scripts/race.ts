/** `npm run race -- --rounds 1000`: a hundred clients claim the same task, round by round, at a real runtime. */
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
const ran = spawnSync(process.execPath, [vitest, "run", "--project", "e2e", "test/e2e/claim-race.test.ts"], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, SHIM_RACE_ROUNDS: values.rounds },
});
process.exitCode = ran.status ?? 1;
