/** Program of `shim statusline`: runs after every step, so it loads little. Never fails. */
import { fstatSync, writeSync } from "node:fs";
import { exitWithPendingRead, ownLimits, readStdin } from "../local-mcp/hooks/hook-stdin.ts";
import { statusOf } from "../local-mcp/host/status-line.ts";
import { HomeError, homeFrom, pathsIn } from "../platform/paths.ts";
import { openNodeSqlite } from "../store/driver-node-sqlite.ts";
import { maxUpkeepBytes, systemRuntime } from "../runtime/system-runtime.ts";
import { chainedLine, renderLine } from "./commands/setup/statusline/chained-line.ts";

async function main(): Promise<void> {
  const host = {
    env: process.env,
    cwd: process.cwd(),
    configPath: pathsIn(homeFrom(process.env)).config,
    statusOf: async (text: string) =>
      statusOf(systemRuntime({ driver: openNodeSqlite, busyMs: 200, maxUpkeepBytes }), text),
  };
  // A terminal sends no input by itself.
  const stdin = fstatSync(0).isCharacterDevice() ? { text: "", isCutOff: false } : await readStdin(ownLimits);
  const line = await chainedLine(host, stdin.text);
  // Not process.stdout: making that stream loads node:net.
  writeSync(1, process.argv.includes("--json") ? `${JSON.stringify(line)}\n` : renderLine(line));
  if (stdin.isCutOff) exitWithPendingRead();
}

main().catch((error: unknown) => {
  if (error instanceof HomeError) writeSync(1, `SHIM: ${error.message}\n`);
});
