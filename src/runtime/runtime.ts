import type { Config } from "../contract/config.ts";
import type { InputOf, OperationName, OutputOf } from "../contract/operations.ts";
import type { Log } from "../platform/log-file.ts";
import type { Paths } from "../platform/paths.ts";
import { isSameProcess, type ProcessIdentity, type Processes } from "../platform/processes.ts";
import type { Launch } from "../platform/shim-command.ts";
import { stackOf } from "../shared/error.ts";
import type { Result } from "../shared/result.ts";
import type { Store } from "../store/store.ts";
import type { Durations } from "./durations.ts";
import type { HostedRuns } from "./hosted-runs.ts";
import type { OpenWindows } from "./open-windows.ts";
import type { PermissionRequests } from "./permission-requests.ts";

/** A process that a client has started, as long as it is connected to this host. */
export interface ConnectedFront {
  /** Null until it is found. */
  readonly client: ProcessIdentity | null;
}

/** Presence of clients: a client is served while a front of it is connected. */
export class Fronts {
  readonly #connected = new Set<ConnectedFront>();
  /** Clients whose front was killed, until that is reported. */
  #bereft: readonly ProcessIdentity[] = [];

  connect(front: ConnectedFront): void {
    this.#connected.add(front);
  }

  /** @param isKilled it has said nothing of its end */
  disconnect(front: ConnectedFront, isKilled: boolean): void {
    if (this.#connected.delete(front) && isKilled && front.client) this.#bereft = [...this.#bereft, front.client];
  }

  serves(client: ProcessIdentity): boolean {
    return [...this.#connected].some((front) => isSameProcess(front.client, client));
  }

  /** Whether the client's front was killed, which is not reported yet, and no other has come. */
  hasLost(client: ProcessIdentity): boolean {
    return this.#bereft.some((one) => isSameProcess(one, client)) && !this.serves(client);
  }

  /** Its user knows, or need not: a prompt came. */
  reported(client: ProcessIdentity): void {
    this.#bereft = this.#bereft.filter((one) => !isSameProcess(one, client));
  }
}

/** The coordinator of a machine that has joined no workspace, as one process calls it. */
export interface LocalCalls {
  /** @throws {CallLostError} */
  call<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    timeoutMs: number,
  ): Result<OutputOf<Name>> | Promise<Result<OutputOf<Name>>>;
  /** Calls `listener` after commits of others, soon after each. @returns ends that */
  onCommit(listener: () => void): () => void;
  close(): void;
}

/** No answer came. */
export class CallLostError extends Error {
  override readonly name = "CallLostError";
  /** False: the call has reached nothing. */
  readonly isSent: boolean;

  constructor(message: string, isSent: boolean) {
    super(message);
    this.isSent = isSent;
  }
}

export type JobName =
  | "takeSnapshot"
  | "foreseeConflicts"
  | "dropSnapshots"
  | "makeBundle"
  | "undoFiles"
  | "writePlanned";

/** A name and input of long work, which can be cloned. */
export interface Job {
  readonly name: JobName;
  readonly input: object;
}

/** Parts of the input that each process has of its own. */
export interface JobContext {
  readonly processes: Runtime["processes"];
  readonly signal?: AbortSignal;
}

/**
 * Does long work in a process of its own, or in this one where none can be started.
 * @param work of that name
 * @throws {Error} what `work` throws, or when that process ends without an answer
 */
export function runApart<Input extends object, Answer>(
  { startJob, processes }: Pick<Runtime, "startJob" | "processes">,
  name: JobName,
  work: (input: Input & JobContext) => Promise<Answer>,
  input: Input,
  signal?: AbortSignal,
): Promise<Answer> {
  if (!startJob) return work({ ...input, processes, ...(signal && { signal }) });
  return startJob({ name, input }, signal) as Promise<Answer>;
}

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
  /** The same of permission requests. */
  readonly permissions: PermissionRequests;
  /** The same of clients that the host has started. */
  readonly runs: HostedRuns;
  /** The same of clients that people have started. */
  readonly windows: OpenWindows;
  /** The machine's coordinator in the host; absent in the host itself. */
  readonly localCalls?: () => LocalCalls;
  /** Does a job in a process of its own; absent where none can be started. */
  readonly startJob?: (job: Job, signal?: AbortSignal) => Promise<unknown>;
}

/** The machine as the concerns of an event know it: none opens a transaction. */
export type EventMachine = Pick<
  Runtime,
  "now" | "random" | "env" | "paths" | "launch" | "config" | "processes" | "fronts" | "windows"
>;

/** For a process that may end soon. A failure is only logged. */
export function storeDurations({ store, durations, log }: Runtime): void {
  try {
    durations.store(store);
  } catch (error) {
    log("warn", "durations were not stored", { error: stackOf(error) });
  }
}
