/** `shim statusline`: the client runs it after every step, so it loads as little as it can. It never fails. */
import { fstatSync, readFileSync, writeSync } from "node:fs";
import { homeFrom, pathsIn } from "../local-mcp/paths.ts";
import { openNodeSqlite } from "../local-mcp/store/driver-node-sqlite.ts";
import { systemRuntime } from "../local-mcp/system-runtime.ts";
import { chainedLine, renderLine } from "./statusline/chained-line.ts";

async function main(): Promise<void> {
  const host = {
    env: process.env,
    cwd: process.cwd(),
    configPath: pathsIn(homeFrom(process.env)).config,
    makeRuntime: async () => systemRuntime({ driver: openNodeSqlite, busyMs: 200 }),
  };
  // A terminal gives no input of its own accord.
  const input = fstatSync(0).isCharacterDevice() ? "" : readFileSync(0, "utf8");
  const line = await chainedLine(host, input);
  // Not process.stdout: making that stream loads node:net.
  writeSync(1, process.argv.includes("--json") ? `${JSON.stringify(line)}\n` : renderLine(line));
}

// Whatever happened, the client goes on; `shim doctor` finds what is wrong.
main().catch(() => undefined);
