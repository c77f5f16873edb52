import type { CheckedMachineInput, MachineOperationName, MachineOutput } from "../../contract/machine/operations.ts";
import type { TeamView } from "../../contract/machine/overview.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Result } from "../../shared/result.ts";
import type { CallOperation, OperationContext } from "../context/operation-context.ts";
import type { OtherMachines } from "./other-machines.ts";
import type { KeptWorkspace } from "../sharing/operations/kept-workspace.ts";

/** A host keeps the rest from one call to the next. */
export interface HandlerContext extends OperationContext {
  /** Another operation, such as a write that a read needs. */
  readonly call: CallOperation;
  readonly workspace: KeptWorkspace;
  readonly others: OtherMachines;
  /** Chats of the workspace, and their work. */
  readonly team: { read(runtime: Runtime, maxAgeMs: number): Promise<TeamView> };
  /** Records the events that waited in files. */
  readonly readSpool: (runtime: Runtime) => void;
}

type Answered<T> = T | Promise<T>;

/** The code of each operation; its input is checked. */
export type Handlers = {
  readonly [One in MachineOperationName]: (
    context: HandlerContext,
    input: CheckedMachineInput<One>,
  ) => Answered<Result<MachineOutput<One>>>;
};
