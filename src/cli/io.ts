import type { Launch } from "../platform/launch.ts";
import type { Machine } from "../installer/targets.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { DriverName } from "../store/driver.ts";

export interface ProcessStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/** A program with processes of its own below it. */
export interface ProcessGroup {
  /** Its exit code, 128 and the number of the signal that has ended it. Rejects with the system's error when it cannot be started. */
  readonly ended: Promise<number>;
  /** TERM to all of them, KILL to who is left after so many ms. Resolves when none is left. */
  end(graceMs: number): Promise<void>;
}

export interface LoadedRuntime {
  readonly runtime: Runtime;
  readonly driver: DriverName;
  /** Why the first choice of SQLite was not taken; null when it was. */
  readonly fallbackReason: string | null;
}

/** All that the command uses of the outside. Tests give their own; nothing below reads the process. */
export interface Io {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** While stdout takes no more: resolves when it does (true) or after `ms` (false). Null: it takes more now. */
  readonly drained: (ms: number) => Promise<boolean> | null;
  /** Ends this process after `ms`, should what is written to stdout still wait for its reader. */
  readonly leaveWithin: (ms: number) => void;
  /** Whether stdout is a terminal. */
  readonly isTty: boolean;
  /** Whether somebody is there to answer questions. */
  readonly isInteractive: boolean;
  readonly size: () => { readonly columns: number; readonly rows: number };
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly ask: (question: string) => Promise<string>;
  /** All of stdin. */
  readonly readInput: () => Promise<string>;
  /** Aborted by Ctrl-C or SIGTERM, which from the first call on no longer end the process by themselves. */
  readonly interrupted: () => AbortSignal;
  /** Calls `heed` at each Ctrl-C, SIGTERM and SIGHUP, none of which ends the process by itself then. Answers what ends that. */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** Calls `heed` when nobody takes what is written any more, which does not end the process by itself then. Answers what ends that. */
  readonly onReaderGone: (listener: () => void) => () => void;
  /** Of the process that started this one; another number once that one is gone. */
  readonly parentPid: () => number;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Runs a program in this terminal, without a shell; answers its exit code. Rejects with the system's error when it cannot be started. */
  readonly startProcess: (start: ProcessStart) => Promise<number>;
  /** The same, as a group of processes that Ctrl-C in this terminal does not reach. */
  readonly startGroup: (start: ProcessStart & { readonly env: NodeJS.ProcessEnv }) => ProcessGroup;
  readonly machine: Machine;
  /** This Node and this copy of SHIM, as clients are to start them. */
  readonly launch: Launch;
  /** `process.versions.node`. */
  readonly nodeVersion: string;
  /** Runs a short program to its end: its exit code and what it has written. Null: there is none of this name. */
  readonly runQuietly: (
    command: string,
    args: readonly string[],
  ) => { readonly code: number; readonly text: string } | null;
  /** Version of a program (`--version`), or null when it does not run. */
  readonly versionOf: (program: string) => string | null;
  /** Loads SQLite, so only for commands that need the store. */
  readonly makeRuntime: () => Promise<LoadedRuntime>;
}
