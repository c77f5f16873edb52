import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { defaults } from "../contract/config.ts";
import type { Launch } from "../platform/launch.ts";
import { readConfig } from "../platform/config-file.ts";
import { fileLog, type Log } from "../platform/log-file.ts";
import { homeFrom, pathsIn } from "../platform/paths.ts";
import { systemProcesses } from "../platform/processes.ts";
import { Durations } from "./durations.ts";
import type { Runtime } from "./runtime.ts";
import { findRealPath } from "../platform/shim-command.ts";
import { Store, type StoreOptions } from "../store/store.ts";

/**
 * [ST22] For programs that a client starts with each event: a repair takes up to 20 ms for each
 * megabyte, and the client kills a hook after ten seconds.
 */
export const maxUpkeepBytes = 200_000_000;

export interface SystemOptions extends Omit<StoreOptions, "path" | "now" | "busyMs" | "migrations" | "minEpoch"> {
  readonly busyMs: number;
  readonly log?: Log;
}

/** Unreadable settings are logged, and the defaults hold. */
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
    launch: launchOf(process.argv),
    paths,
    config: config.ok ? config.value : defaults,
    processes: systemProcesses,
    store: new Store({ ...options, path: paths.database, now }),
    log,
    durations: new Durations(() => performance.now()),
  };
}

/** `started` is a program in dist/, the launcher in bin/ beside it, or a link to either. */
function launchOf([node = "node", started = ""]: readonly string[]): Launch {
  const folder = dirname(dirname(findRealPath(started) ?? started));
  // The plugin of a clone uses the launcher of the clone.
  const root = basename(folder) === "plugin" ? dirname(folder) : folder;
  return { node, script: join(root, "bin", "shim.mjs"), hookScript: join(root, "dist", "hook.cjs") };
}
