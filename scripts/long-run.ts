import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** Runs one e2e test for longer than every day: how long stands in the environment that the test reads. Its exit code becomes that of this process. */
export function longRun(test: string, env: Readonly<Record<string, string>>): void {
  const root = join(import.meta.dirname, "..");
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const ran = spawnSync(process.execPath, [vitest, "run", "--project", "e2e", `test/e2e/${test}`], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  process.exitCode = ran.status ?? 1;
}
