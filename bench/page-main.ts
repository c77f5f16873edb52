import { spawnSync } from "node:child_process";

/** Times of the live page in a browser: first paint, the fleet, a search, a change of view. */
const { status } = spawnSync("npx", ["vitest", "run", "--project", "web", "test/web/large.test.ts", "-t", "times"], {
  env: { ...process.env, SHIM_PAGE_TIMES: "1" },
  stdio: "inherit",
});
process.exitCode = status ?? 1;
