import type { Failure } from "../../contract/errors.ts";
import type { SyncCounts } from "../../contract/machine/workspaces.ts";
import type { MachineInput, MachineOperationName, MachineOutput } from "../../contract/machine/operations.ts";
import type { Result } from "../../shared/result.ts";
import type { EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import type { ServiceSite } from "../../installer/service.ts";
import type { Launch } from "../../platform/shim-command.ts";
import type { Paths } from "../../platform/paths.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { DriverName } from "../../store/driver.ts";
import type { OwnRelay } from "./pairing-relay.ts";
import type { AskedOperation, CallerSurface } from "./operation-wire.ts";

/** Does an operation of the machine; refusals and errors of the store are results, bugs throw. */
export type CallOperation = <Name extends MachineOperationName>(
  name: Name,
  input: MachineInput<Name>,
) => Promise<Result<MachineOutput<Name>>>;

export interface LoadedRuntime {
  readonly runtime: Runtime;
  readonly driver: DriverName;
  /** Why the first choice of SQLite failed; null when it was used. */
  readonly fallbackReason: string | null;
}

/** The host's own process, and the machine outside SHIM's home. */
export interface SystemSite extends ServiceSite {
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => number;
  readonly launch: Launch;
  readonly nodeVersion: string;
  readonly versionOf: (program: string) => string | null;
}

export interface HostConnection {
  /** Called after commits of the store, and when some may have been missed; absent: for none. */
  readonly onStored?: () => void;
  /** The same for commits of the coordinator that `caller` has not asked for. */
  readonly onCoordinated?: { readonly caller: string; readonly listener: () => void };
  readonly onProblem: (message: string) => void;
  readonly until: AbortSignal;
}

/** The host of a machine, as its other programs see it; it is started where none runs. */
export interface HostClient {
  /** Does an operation there; bugs throw. */
  call(asked: AskedOperation, reports: OperationReports): Promise<Result<unknown>>;
  /** Asks a host of this program that runs, and starts none. @returns null: none has answered */
  read(asked: AskedOperation): Promise<Result<unknown> | null>;
  /** Keeps a host running while this program does; never rejects. */
  stayConnected(connection: HostConnection): Promise<void>;
}

/** Gets what is reported before the result. */
export interface OperationReports extends Partial<Pick<OperationContext, "progress" | "onSecretsRemoved">> {
  /** Ends the wait for the result; the host completes what it has begun. */
  readonly signal?: AbortSignal;
}

export interface OperationContext {
  readonly paths: Paths;
  readonly site: SystemSite;
  readonly loaded: () => Promise<LoadedRuntime>;
  /** Opens the store with the first call. */
  readonly runtime: () => Promise<Runtime>;
  /** Absent in the host itself. */
  readonly hostClient?: HostClient;
  /** Does a whole round of the sync; only the host has it. */
  readonly syncNow?: (edge: EdgeWorkspace) => Promise<SyncCounts & { readonly trouble: Failure | null }>;
  /** Phones were paired or removed; only the host has it. */
  readonly onPhonesChanged?: () => void;
  /** Relays between this machine and its phones; only the host has it. */
  readonly ownRelay?: () => Promise<OwnRelay>;
  readonly onSecretsRemoved?: (count: number) => void;
  /** For the audit log; default: the command line. */
  readonly by?: CallerSurface;
  /** Pid of the command that asks; absent: it is no process of its own, or not known. */
  readonly caller?: number;
  /** Ctrl-C then does not end the process; absent in the host. @returns undoes that */
  readonly onInterrupt?: (listener: () => void) => () => void;
  /** Shows a line to a person who waits for the answer. */
  readonly progress?: (text: string) => void;
  /** Shows how far the work is, in place of the last such text; empty: removes it. */
  readonly passing?: (text: string) => void;
}
