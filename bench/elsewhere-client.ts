/** A client for bench/elsewhere.ts: passes its input on to a SHIM server, and runs the hooks that it is asked for. */
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";

const server = spawn(process.execPath, ["dist/mcp.cjs"], { stdio: ["pipe", "pipe", "inherit"] });
server.stdout.pipe(process.stdout);
server.stdin.on("error", () => undefined);
// An interrupted bench leaves no client behind.
process.stdin.on("close", () => process.exit(0));
createInterface({ input: process.stdin, crlfDelay: Infinity }).on("line", (line) => {
  const { method, id, params } = JSON.parse(line) as { method?: string; id?: number; params?: Record<string, unknown> };
  if (method === "bench/server") answer(id, { pid: server.pid });
  else if (method === "bench/close") server.stdin.end(() => answer(id, {}));
  else if (method === "bench/hook") {
    const event = String(params?.["hook_event_name"]);
    spawnSync(process.execPath, ["dist/hook.cjs", event], { input: JSON.stringify(params) });
    answer(id, {});
  } else server.stdin.write(`${line}\n`);
});

function answer(id: number | undefined, result: object): void {
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, result })}\n`);
}
