/** `npm run crowd -- --chats 30 --seconds 120 --pause 500`: so many chats that think for half a second between two calls (0: not at all), each an MCP process of its own, work as one team at a real runtime; a third as many on one machine. */
import { parseArgs } from "node:util";
import { longRun } from "./long-run.ts";

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
longRun("crowd.test.ts", {
  SHIM_CROWD_CHATS: values.chats,
  SHIM_CROWD_SECONDS: values.seconds,
  SHIM_CROWD_PAUSE_MS: values.pause,
});
