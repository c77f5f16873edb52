import { edgeConfigFromEnv } from "../../coordinator-client/edge-config.ts";
import { clientPidOf } from "../../platform/processes.ts";
import type { LoadedDriver } from "../../store/open-driver.ts";
import { systemRuntime } from "../../runtime/system-runtime.ts";
import { version } from "../../platform/version.ts";
import { serve } from "./serve.ts";

export function serveSystem(
  { open, fallbackReason }: Pick<LoadedDriver, "open" | "fallbackReason">,
  isExtension: boolean,
): void {
  const runtime = systemRuntime({ driver: open, busyMs: 5_000 });
  if (fallbackReason) runtime.log("warn", "second choice of SQLite", { reason: fallbackReason });
  const edge = edgeConfigFromEnv(process.env);
  // Chats are saved all the same; Claude Desktop logs stderr.
  if (!edge.ok) {
    runtime.log("error", "the workspace of the environment cannot be used", { reason: edge.error });
    process.stderr.write(`SHIM: no workspace is joined: ${edge.error}.\n`);
  }
  serve({
    runtime,
    version,
    isExtension,
    clientPid: clientPidOf(runtime.processes, process.env, process.ppid),
    stdin: process.stdin,
    stdout: process.stdout,
    exit: (code) => process.exit(code),
  });
}
