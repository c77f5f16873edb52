import type { CheckedMachineInput, MachineOperationName, MachineOutput } from "../../contract/machine/operations.ts";
import type { EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import type { ServiceSite } from "../../installer/service.ts";
import type { Launch } from "../../platform/launch.ts";
import type { Paths } from "../../platform/paths.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { DriverName } from "../../store/driver.ts";
import type { SyncReport } from "../sync/sync-round.ts";
import type { Host, HostResult } from "./host.ts";
import type { KeptWorkspace } from "./kept-workspace.ts";
import type { MachineHost } from "./machine-host.ts";
import type { OtherMachines } from "./other-machines.ts";
import type { TeamReader } from "./team-reader.ts";

export interface LoadedRuntime {
  readonly runtime: Runtime;
  readonly driver: DriverName;
  /** Why the first choice of SQLite failed; null when it was used. */
  readonly fallbackReason: string | null;
}

/** The host's own process, and the machine outside SHIM's home. */
export interface HostSite extends ServiceSite {
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => number;
  readonly launch: Launch;
  readonly nodeVersion: string;
  readonly versionOf: (program: string) => string | null;
}

/** Surface of a caller. */
export type CallerSurface = "command line" | "live page";

export interface HostContext {
  readonly paths: Paths;
  readonly site: HostSite;
  readonly loaded: () => Promise<LoadedRuntime>;
  /** Opens the store with the first call. */
  readonly runtime: () => Promise<Runtime>;
  /** Absent in the host itself. */
  readonly machineHost?: MachineHost;
  /** Does a whole round of the sync; only the host has it. */
  readonly syncNow?: (edge: EdgeWorkspace) => Promise<SyncReport>;
  readonly onSecretsRemoved?: (count: number) => void;
  /** For the audit log; default: the command line. */
  readonly by?: CallerSurface;
  /** Shows a line to a person who waits for the answer. */
  readonly progress?: (text: string) => void;
}

/** A host keeps the rest from one call to the next. */
export interface HandlerContext extends HostContext {
  /** Another operation, such as a write that a read needs. */
  readonly call: Host["call"];
  readonly workspace: KeptWorkspace;
  readonly others: OtherMachines;
  readonly team: TeamReader;
}

type Answered<T> = T | Promise<T>;

/** The code of each operation; its input is checked. */
export type Handlers<Name extends MachineOperationName> = {
  readonly [One in Name]: (
    context: HandlerContext,
    input: CheckedMachineInput<One>,
  ) => Answered<HostResult<MachineOutput<One>>>;
};
