/** `node scripts/supervise-kills.ts --rounds 200 --seed 7`: a supervised Claude Code is killed again and again, at the built programs. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "200" }, seed: { type: "string", default: "1" } },
});
if (![values.rounds, values.seed].every((value) => /^[1-9]\d{0,5}$/.test(value))) {
  console.error("--rounds and --seed are numbers from 1 on.");
  process.exit(2);
}
const root = join(import.meta.dirname, "..");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const ran = spawnSync(process.execPath, [vitest, "run", "--project", "e2e", "test/e2e/supervise-kills.test.ts"], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, SHIM_KILL_ROUNDS: values.rounds, SHIM_KILL_SEED: values.seed },
});
process.exitCode = ran.status ?? 1;
