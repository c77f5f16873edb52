import { randomBytes } from "node:crypto";
import { defaults } from "../contract/config.ts";
import { readConfig } from "./config-file.ts";
import { fileLog } from "./log-file.ts";
import { homeFrom, pathsIn } from "./paths.ts";
import { systemProcesses } from "./processes.ts";
import type { Log, Runtime } from "./runtime.ts";
import type { Driver } from "./store/driver.ts";
import { Store } from "./store/store.ts";

export interface SystemOptions {
  readonly driver: Driver;
  /** How long a write waits for other processes, in ms. */
  readonly busyMs: number;
  readonly log?: Log;
  /** See {@link StoreOptions.maxUpkeepBytes}. */
  readonly maxUpkeepBytes?: number;
}

/** The real clock, randomness, environment, processes and files. Settings that cannot be read are logged, and the defaults hold. */
export function systemRuntime(options: SystemOptions): Runtime {
  const paths = pathsIn(homeFrom(process.env));
  const now = Date.now;
  const log = options.log ?? fileLog(paths.log, now);
  const config = readConfig(paths.config);
  if (!config.ok) log("error", "settings ignored", { reason: config.error });
  return {
    now,
    random: (bytes) => randomBytes(bytes),
    env: process.env,
    paths,
    config: config.ok ? config.value : defaults,
    processes: systemProcesses,
    store: new Store({ ...options, path: paths.database, now }),
    log,
  };
}
