import type * as z from "zod";
import type { HostErrorCode } from "../errors.ts";

/** destructive: deletes what nothing brings back, so a client asks its user first. */
export type MachineEffect = "read" | "write" | "destructive";

/** Views besides `shim call`: a command of its own, a tool of a chat, the live page. */
export type MachineSurface = "command" | "tool" | "page";

export interface MachineOperationDetails<Input extends z.ZodObject, Output extends z.ZodType> {
  readonly summary: string;
  readonly input: Input;
  readonly output: Output;
  readonly errors?: readonly HostErrorCode[];
  /** The most that it does. */
  readonly effect: MachineEffect;
  /** Absent: a read is done by the process that asks, and all else by the host. */
  readonly doneBy?: "caller";
  /** One step may take longer than the five seconds after which a silent host counts as hanging. */
  readonly isLong?: true;
  readonly surfaces: readonly MachineSurface[];
  /** An input, for documents and tests. */
  readonly example: z.input<Input>;
}

export interface MachineOperationOf<
  Input extends z.ZodObject,
  Output extends z.ZodType,
> extends MachineOperationDetails<Input, Output> {
  readonly errors: readonly HostErrorCode[];
}

export type MachineOperation = MachineOperationOf<z.ZodObject, z.ZodType>;

/** Declares an operation of a machine. It is repeatable: a call without an answer is sent again. */
export function machineOperation<Input extends z.ZodObject, Output extends z.ZodType>(
  details: MachineOperationDetails<Input, Output>,
): MachineOperationOf<Input, Output> {
  return { errors: [], ...details };
}
