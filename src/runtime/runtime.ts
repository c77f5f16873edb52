import type { Config } from "../contract/config.ts";
import type { Launch } from "../platform/launch.ts";
import type { Log } from "../platform/log-file.ts";
import type { Paths } from "../platform/paths.ts";
import type { Processes } from "../platform/processes.ts";
import type { Store } from "../store/store.ts";

/** What a part of the local process may use of the outside. Tests give their own; nothing below reads a clock or the environment. */
export interface Runtime {
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly env: NodeJS.ProcessEnv;
  /** This Node and this copy of SHIM. */
  readonly launch: Launch;
  readonly paths: Paths;
  readonly config: Config;
  readonly processes: Processes;
  readonly store: Store;
  readonly log: Log;
}
