import type { Config } from "../contract/config.ts";
import type { Launch } from "../platform/launch.ts";
import type { Log } from "../platform/log-file.ts";
import type { Paths } from "../platform/paths.ts";
import type { Processes } from "../platform/processes.ts";
import type { Store } from "../store/store.ts";
import type { Durations } from "./durations.ts";
import type { Fronts } from "./fronts.ts";
import type { LocalCalls } from "./local-calls.ts";
import type { Job } from "./run-apart.ts";

/** All access of the local process to clock, randomness and environment; replaced in tests. */
export interface Runtime {
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly env: NodeJS.ProcessEnv;
  readonly launch: Launch;
  readonly paths: Paths;
  readonly config: Config;
  readonly processes: Processes;
  readonly store: Store;
  readonly log: Log;
  readonly durations: Durations;
  /** None in a process that is not the host. */
  readonly fronts: Fronts;
  /** The machine's coordinator in the host; absent in the host itself. */
  readonly localCalls?: () => LocalCalls;
  /** Does a job in a process of its own; absent where none can be started. */
  readonly startJob?: (job: Job, signal?: AbortSignal) => Promise<unknown>;
}
