/** `npm run crowd -- --chats 30 --seconds 120 --pause 500`: so many chats that think for half a second between two calls (0: not at all), each an MCP process of its own, work as one team at a real runtime; a third as many on one machine. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    chats: { type: "string", default: "30" },
    seconds: { type: "string", default: "120" },
    pause: { type: "string", default: "500" },
  },
});
if (![values.chats, values.seconds].every((value) => /^[1-9]\d{0,3}$/.test(value)) || !/^\d{1,5}$/.test(values.pause)) {
  console.error("--chats and --seconds are numbers from 1 on, --pause ms from 0 on.");
  process.exit(2);
}
const root = join(import.meta.dirname, "..");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const ran = spawnSync(process.execPath, [vitest, "run", "--project", "e2e", "test/e2e/crowd.test.ts"], {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    SHIM_CROWD_CHATS: values.chats,
    SHIM_CROWD_SECONDS: values.seconds,
    SHIM_CROWD_PAUSE_MS: values.pause,
  },
});
process.exitCode = ran.status ?? 1;
