import type { Sample } from "../../contract/metrics.ts";
import type { MachineInput, MachineOperationName, MachineOutput } from "../../contract/machine/operations.ts";
import type { CallInput, CallName, InputOf, OutputOf } from "../../contract/operations.ts";
import type { PagedOperation, Pages } from "../../contract/pages.ts";
import type { Self } from "../../contract/values.ts";
import type { WatchEvent, WatchOptions } from "../../coordinator-client/edge/state-watch.ts";
import type { HostResult } from "../../shared/host-result.ts";

export type { HostError, HostResult } from "../../shared/host-result.ts";
export { pollEveryMs } from "../../coordinator-client/coordinator-client.ts";

/** The authority over what SHIM stores on a machine. */
export interface Host {
  call<Name extends MachineOperationName>(
    name: Name,
    input: MachineInput<Name>,
  ): Promise<HostResult<MachineOutput<Name>>>;
  /** The one that the machine has joined, or its own. */
  workspace(): Promise<HostResult<Workspace>>;
  /** Serves the live page on loopback until it is closed. */
  servePage(serving: PageServing): Promise<HostResult<ServedPage>>;
  /** Serves the metrics on loopback until it is closed. */
  serveMetrics(serving: MetricsServing): Promise<HostResult<ServedMetrics>>;
  close(): Promise<void>;
}

export interface PageServing {
  /** Absent: the one of the last time, else a free one. */
  readonly port?: number;
  /** A page has to sign in, and the last link was used or is too old. */
  readonly onLinkNeeded: (link: string) => void;
  readonly onProblem: (message: string) => void;
}

export interface ServedPage {
  /** Signs in once, within a minute. */
  readonly link: string;
  close(): Promise<void>;
}

export interface MetricsServing {
  readonly host: string;
  readonly port: number;
  /** Samples of what the caller runs besides. */
  readonly more: () => readonly Sample[];
}

export interface ServedMetrics {
  readonly url: string;
  readonly tokenFile: string;
  close(): Promise<void>;
}

export interface RightRequest {
  readonly kind: "lock" | "election";
  readonly name: string;
  /** How long it outlives this process. */
  readonly ttlMs: number;
  /** Limit of the wait; null: until it is free. */
  readonly waitMs: number | null;
  /** True: an outage is waited for. */
  readonly isPatient?: boolean;
}

export interface HeldRight {
  /** Fencing token, or term. */
  readonly token: number;
  /** Aborted when the right may not be relied on any more; the reason is a text. */
  readonly lost: AbortSignal;
  /** Ends the chat too, within a few seconds; without an answer the ttl ends the right. */
  release(): Promise<void>;
}

export type FollowedChanges = Exclude<WatchEvent, { readonly type: "failed" }>;

/** The workspace of a machine: on its edge, or in the machine's own file. */
export interface Workspace {
  /** For people. */
  readonly where: string;
  readonly isEdge: boolean;
  readonly machine: string;
  /** Identity of the calling process, as chats register it. */
  readonly process: string;
  readonly call: <Name extends CallName>(name: Name, input: CallInput<Name>) => Promise<HostResult<OutputOf<Name>>>;
  /** Reads a list to its end. */
  list<Name extends PagedOperation>(
    name: Name,
    input: InputOf<NoInfer<Name>>,
    pages?: Pages,
  ): Promise<HostResult<OutputOf<Name>>>;
  /** Registers the command line of the machine as a chat. */
  self(): Promise<HostResult<Self>>;
  /** Asks for a right under a chat of its own, until it has it or `stop` is aborted. */
  hold(right: RightRequest, stop: AbortSignal): Promise<HostResult<HeldRight>>;
  /**
   * Follows changes of shared state over all interruptions, until `stop` or an error.
   *
   * @param onTrouble gets what a person should know of the connection
   */
  watch(
    start: WatchOptions,
    stop: AbortSignal,
    onTrouble: (text: string) => void,
    onChanges: (changes: FollowedChanges) => void,
  ): Promise<HostResult<null>>;
  /** The listener is called after anything in the workspace may have changed. */
  onChange(listener: () => void): void;
  close(): void;
}
