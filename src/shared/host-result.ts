import type { HostErrorCode } from "../contract/errors.ts";
import type { Result } from "./result.ts";

/** Why a machine or its workspace did not do something; `message` says what to do. */
export interface HostError {
  /** edge_unreachable: the coordinator did not answer. */
  readonly code: HostErrorCode;
  readonly message: string;
  /** Ids that an ambiguous one may mean. */
  readonly candidates?: readonly string[];
  /** A repeat may succeed. */
  readonly isTransient?: boolean;
}

export type HostResult<T> = Result<T, HostError>;
