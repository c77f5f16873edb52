import type { StoreErrorCode } from "../../contract/errors.ts";
import type { HostErrorCode } from "../../contract/machine/operation.ts";
import type { MachineInput, MachineOperationName, MachineOutput } from "../../contract/machine/operations.ts";
import type { Result } from "../../shared/result.ts";

/** Why a machine did not do something; `message` says what to do. */
export interface HostError {
  readonly code: HostErrorCode | StoreErrorCode;
  readonly message: string;
  /** Ids that an ambiguous one may mean. */
  readonly candidates?: readonly string[];
}

export type HostResult<T> = Result<T, HostError>;

/** The authority over what SHIM stores on a machine. */
export interface Host {
  call<Name extends MachineOperationName>(
    name: Name,
    input: MachineInput<Name>,
  ): Promise<HostResult<MachineOutput<Name>>>;
}
