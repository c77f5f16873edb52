/** `npm run bench`: every figure with its floor or peer of the same run. Prints a table and writes it as JSON to bench/results.json. */
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { benchChats } from "./chats.ts";
import { benchDeaths } from "./deaths.ts";
import { benchElsewhere } from "./elsewhere.ts";
import { benchEvents } from "./events.ts";
import { benchFork } from "./fork.ts";
import { benchUndo } from "./undo.ts";
import { benchGrowth, benchNeighbours } from "./neighbours.ts";
import { measureParts } from "./parts.ts";
import { benchRecovery } from "./recovery.ts";
import { benchRedaction } from "./redaction.ts";
import { benchSave } from "./save.ts";
import { benchStart } from "./start.ts";
import { suites } from "./suites.ts";
import { benchSync } from "./sync.ts";
import { benchToolCall } from "./tool-call.ts";

const folder = tmpdir();
const memoryServer = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-memory/dist/index.js");

/** @returns the built server */
async function built(name: string): Promise<string> {
  const outfile = join(folder, `${name}.mjs`);
  const entryPoints = [`bench/${name}.ts`];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", target: "node22.16" });
  return outfile;
}

const parts = {
  save: async () => benchSave(folder, await built("empty-server"), memoryServer),
  recovery: () => benchRecovery(folder),
  redaction: benchRedaction,
  start: async () => benchStart(folder, await built("empty-server"), memoryServer),
  chats: () => benchChats(folder),
  deaths: () => benchDeaths(folder),
  events: () => benchEvents(folder),
  neighbours: () => benchNeighbours(folder),
  growth: () => benchGrowth(folder),
  "tool-call": async () => benchToolCall(folder, await built("empty-hook-server")),
  sync: () => benchSync(folder),
  elsewhere: () => benchElsewhere(folder),
  fork: () => benchFork(folder),
  undo: () => benchUndo(join(folder, "undo")),
};
await measureParts("bench/results.json", parts, process.argv.slice(2), Object.keys(suites));
