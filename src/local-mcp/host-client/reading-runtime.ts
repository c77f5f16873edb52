import { existsSync } from "node:fs";
import { callsInProcess } from "../../coordinator-client/client.ts";
import { localStorePath } from "../../coordinator-client/local/local-store.ts";
import { hostCalls } from "./host-calls.ts";
import type { LoadedRuntime } from "../../machine/context/operation-context.ts";
import type { Log } from "../../platform/log-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { systemRuntime } from "../../runtime/system-runtime.ts";
import { loadDriver } from "../../store/open-driver.ts";

const log: Log = (level, message, fields = {}) => {
  if (level === "info") return;
  const detail = Object.values(fields).map(String).join(" ");
  process.stderr.write(`shim: ${message}${detail ? `: ${detail}` : ""}\n`);
};

/** Another process is the host. */
function besideHost(runtime: Runtime): Runtime {
  const { paths, launch, env } = runtime;
  const home = { home: paths.home, launch, env };
  const hasFile = (): boolean => existsSync(localStorePath(paths.home));
  return { ...runtime, localCalls: () => hostCalls(home, hasFile, () => callsInProcess(runtime)) };
}

/** The store as a command reads it. */
export async function makeRuntime(env: NodeJS.ProcessEnv): Promise<LoadedRuntime> {
  const { open, driver, fallbackReason } = await loadDriver();
  const runtime = systemRuntime({ driver: open, busyMs: 5_000, isReadOnly: true, log, env });
  return { runtime: besideHost(runtime), driver, fallbackReason };
}
