import type { CheckedMachineInput, MachineOperationName, MachineOutput } from "../../contract/machine/operations.ts";
import type { Paths } from "../../platform/paths.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { HostResult } from "./host.ts";

export interface HostContext {
  readonly paths: Paths;
  /** Opens the store with the first call. */
  readonly runtime: () => Promise<Runtime>;
}

type Answered<T> = T | Promise<T>;

/** The code of each operation; its input is checked. */
export type Handlers<Name extends MachineOperationName> = {
  readonly [One in Name]: (
    context: HostContext,
    input: CheckedMachineInput<One>,
  ) => Answered<HostResult<MachineOutput<One>>>;
};
