import { clientPidOf } from "../processes.ts";
import type { LoadedDriver } from "../store/open-driver.ts";
import { systemRuntime } from "../system-runtime.ts";
import { version } from "../version.ts";
import { serve } from "./serve.ts";

/** Serves the chat that has started this process, on the real machine and with the SQLite that the entry has chosen. */
export function serveSystem({ open, fallbackReason }: Pick<LoadedDriver, "open" | "fallbackReason">): void {
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
