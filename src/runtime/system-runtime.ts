import { randomBytes } from "node:crypto";
import { defaults } from "../contract/config.ts";
import { readConfig } from "../platform/config-file.ts";
import { launchOf } from "../platform/shim-command.ts";
import { fileLog, type Log } from "../platform/log-file.ts";
import { homeFrom, pathsIn } from "../platform/paths.ts";
import { systemProcesses } from "../platform/processes.ts";
import { Durations } from "./durations.ts";
import { HostedRuns } from "./hosted-runs.ts";
import { noWindows } from "./open-windows.ts";
import { PermissionRequests } from "./permission-requests.ts";
import { Fronts, type Runtime } from "./runtime.ts";
import { Store, type StoreOptions } from "../store/store.ts";

export interface SystemOptions extends Omit<StoreOptions, "path" | "now" | "busyMs" | "migrations" | "minEpoch"> {
  readonly busyMs: number;
  /** Names the home. */
  readonly env: NodeJS.ProcessEnv;
  readonly log?: Log;
}

/** Unreadable settings are logged, and the defaults hold. */
export function systemRuntime({ env, ...options }: SystemOptions): Runtime {
  const paths = pathsIn(homeFrom(env));
  const now = Date.now;
  const log = options.log ?? fileLog(paths.log, now);
  const config = readConfig(paths.config);
  if (!config.ok) log("error", "settings ignored", { reason: config.error });
  return {
    now,
    random: (bytes) => randomBytes(bytes),
    env,
    launch: launchOf(process.argv[1] ?? ""),
    paths,
    config: config.ok ? config.value : defaults,
    processes: systemProcesses,
    store: new Store({ ...options, path: paths.database, now }),
    log,
    durations: new Durations(() => performance.now()),
    fronts: new Fronts(),
    permissions: new PermissionRequests(),
    runs: new HostedRuns(null),
    windows: noWindows(),
  };
}
