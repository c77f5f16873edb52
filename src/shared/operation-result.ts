import type { OperationErrorCode } from "../contract/errors.ts";
import type { Result } from "./result.ts";

/** Why a machine or its workspace did not do something; `message` says what to do. */
export interface OperationError {
  /** edge_unreachable: the coordinator did not answer. */
  readonly code: OperationErrorCode;
  readonly message: string;
  /** Ids that an ambiguous one may mean. */
  readonly candidates?: readonly string[];
  /** A repeat may succeed. */
  readonly isTransient?: boolean;
}

export type OperationResult<T> = Result<T, OperationError>;
