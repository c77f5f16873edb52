/** `shim mcp`: the stdio process of one chat. stdout belongs to the protocol. */
import { clientPidOf } from "../processes.ts";
import { loadDriver } from "../store/open-driver.ts";
import { systemRuntime } from "../system-runtime.ts";
import { version } from "../version.ts";
import { serve } from "./serve.ts";
import { messageOf } from "../../shared/error.ts";

async function main(): Promise<void> {
  const { open, fallbackReason } = await loadDriver();
  const runtime = systemRuntime({ driver: open, busyMs: 5_000 });
  if (fallbackReason) runtime.log("warn", "second choice of SQLite", { reason: fallbackReason });
  serve({
    runtime,
    version,
    clientPid: clientPidOf(runtime.processes, process.env, process.ppid),
    stdin: process.stdin,
    stdout: process.stdout,
    exit: (code) => process.exit(code),
  });
}

void main().catch((error: unknown) => {
  process.stderr.write(`shim mcp: ${messageOf(error)}\n`);
  process.exitCode = 1;
});
