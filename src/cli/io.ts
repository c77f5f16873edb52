import type { SystemSite, LoadedRuntime } from "../machine/operations/operation-context.ts";
import type { HostHome } from "../local-mcp/host-client/reach-host.ts";
import type { HostClient } from "../machine/operations/operation-context.ts";

export interface ProcessStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
}

export interface ProcessGroup {
  /** Exit code, or 128 plus the signal's number. Rejects when the start fails. */
  readonly ended: Promise<number>;
  /** Sends TERM to all, and KILL after so many ms. Resolves when no process is left. */
  end(graceMs: number): Promise<void>;
}

export interface Io extends SystemSite {
  readonly hostClient: (home: HostHome) => HostClient;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Ends this process after `ms`, even if stdout still has unread output. */
  readonly leaveWithin: (ms: number) => void;
  readonly isTty: boolean;
  readonly isInteractive: boolean;
  readonly size: () => { readonly columns: number; readonly rows: number };
  readonly cwd: string;
  readonly ask: (question: string) => Promise<string>;
  readonly readInput: () => Promise<string>;
  /** Aborted by Ctrl-C or SIGTERM, which after the first call no longer end the process. */
  readonly interrupted: () => AbortSignal;
  /** Ctrl-C, SIGTERM and SIGHUP then do not end the process. @returns undoes that */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** The user presses Enter in the terminal. @returns undoes that */
  readonly onEnter: (listener: () => void) => () => void;
  /** A lost reader of stdout then does not end the process. @returns undoes that */
  readonly onReaderGone: (listener: () => void) => () => void;
  /** Pid of the parent; changes when the parent is gone. */
  readonly parentPid: () => number;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Resolves to the exit code. Rejects with the system's error when the start fails. */
  readonly startProcess: (start: ProcessStart) => Promise<number>;
  /** Starts it as a process group that Ctrl-C in this terminal does not reach. */
  readonly startGroup: (start: ProcessStart & { readonly env: NodeJS.ProcessEnv }) => ProcessGroup;
  /** Loads SQLite, so only for commands that need the store. */
  readonly makeRuntime: () => Promise<LoadedRuntime>;
}
