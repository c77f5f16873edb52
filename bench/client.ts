/** A client that can be killed without its server: passes its input on to a SHIM server, and runs the hooks that it is asked for. */
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";

const server = spawn(process.execPath, ["dist/mcp.cjs"], { stdio: ["pipe", "pipe", "inherit"] });
server.stdout.pipe(process.stdout);
server.stdin.on("error", () => undefined);
// An interrupted bench leaves no client behind.
process.stdin.on("close", () => process.exit(0));
createInterface({ input: process.stdin, crlfDelay: Infinity }).on("line", (line) => {
  const { method, id, params } = JSON.parse(line) as { method?: string; id?: number; params?: Record<string, unknown> };
  if (method !== "bench/hook") return void server.stdin.write(`${line}\n`);
  const args = ["dist/shim-hook", process.execPath, String(params?.["hook_event_name"]), "--client", "claude-code"];
  const { stdout } = spawnSync("/bin/sh", args, { input: JSON.stringify(params), encoding: "utf8" });
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, result: { stdout } })}\n`);
});
