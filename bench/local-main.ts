/** `npm run bench`: every figure with its floor or peer of the same run. Prints a table and writes it as JSON to bench/results.json. */
import { mkdtempSync, rmSync } from "node:fs";
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
import { Parts } from "./parts.ts";
import { benchRecovery } from "./recovery.ts";
import { benchRedaction } from "./redaction.ts";
import { benchSave } from "./save.ts";
import { benchStart } from "./start.ts";
import { benchSync } from "./sync.ts";
import { benchToolCall } from "./tool-call.ts";

const folder = mkdtempSync(join(tmpdir(), "shim-bench-"));
const emptyServer = join(folder, "empty-server.mjs");
const memoryServer = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-memory/dist/index.js");
const emptyHookServer = join(folder, "empty-hook-server.mjs");
for (const [entry, outfile] of [
  ["bench/empty-server.ts", emptyServer],
  ["bench/empty-hook-server.ts", emptyHookServer],
] as const) {
  await build({ entryPoints: [entry], outfile, bundle: true, platform: "node", format: "esm", target: "node22.16" });
}
process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
const parts = new Parts();
await parts.run("save", () => benchSave(folder, emptyServer, memoryServer));
await parts.run("recovery", () => benchRecovery(folder));
await parts.run("redaction", benchRedaction);
await parts.run("start", () => benchStart(folder, emptyServer, memoryServer));
await parts.run("chats", () => benchChats(folder));
await parts.run("deaths", () => benchDeaths(folder));
await parts.run("events", () => benchEvents(folder));
await parts.run("neighbours", () => benchNeighbours(folder));
await parts.run("growth", () => benchGrowth(folder));
await parts.run("tool-call", () => benchToolCall(folder, emptyHookServer));
await parts.run("sync", () => benchSync(folder));
await parts.run("elsewhere", () => benchElsewhere(folder));
await parts.run("fork", () => benchFork(folder));
await parts.run("undo", () => benchUndo(join(folder, "undo")));
parts.report("bench/results.json");
