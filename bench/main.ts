/** `npm run bench`: every figure with its floor or peer of the same run. Prints a table and writes it as JSON to bench/results.json. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { table, type Row } from "./figures.ts";
import { benchRecovery } from "./recovery.ts";
import { benchSave } from "./save.ts";
import { benchStart } from "./start.ts";

const folder = mkdtempSync(join(tmpdir(), "shim-bench-"));
const emptyServer = join(folder, "empty-server.mjs");
const memoryServer = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-memory/dist/index.js");
await build({
  entryPoints: ["bench/empty-server.ts"],
  outfile: emptyServer,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22.16",
});
const parts: Record<string, () => Promise<Row[]>> = {
  save: () => benchSave(folder, emptyServer, memoryServer),
  recovery: () => benchRecovery(folder),
  start: () => benchStart(folder, emptyServer, memoryServer),
};
const wanted = process.argv.slice(2);
const rows: Row[] = [];
try {
  for (const [name, run] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    console.error(`measuring ${name} ...`);
    rows.push(...(await run()));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  `node ${process.version}, ${process.platform} ${process.arch}, ${new Date().toISOString().slice(0, 10)}\n\n${table(rows)}`,
);
writeFileSync(
  "bench/results.json",
  `${JSON.stringify({ node: process.version, at: new Date().toISOString(), rows }, null, 2)}\n`,
);
