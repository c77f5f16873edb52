import type { CallError, StoreErrorCode } from "../contract/errors.ts";
import type { HostErrorCode } from "../contract/machine/operation.ts";
import type { Result } from "./result.ts";

/** Why a machine or its workspace did not do something; `message` says what to do. */
export interface HostError {
  /** edge_unreachable: the coordinator did not answer. */
  readonly code: HostErrorCode | StoreErrorCode | CallError["code"] | "edge_unreachable" | "bad_address";
  readonly message: string;
  /** Ids that an ambiguous one may mean. */
  readonly candidates?: readonly string[];
  /** A repeat may succeed. */
  readonly isTransient?: boolean;
}

export type HostResult<T> = Result<T, HostError>;
