import * as z from "zod";
import type { OperationErrorCode } from "../errors.ts";

/** destructive: deletes what nothing brings back, so a client asks its user first. */
export type MachineEffect = "read" | "write" | "destructive";

/** Views besides `shim call`: a command of its own, a tool of a chat, the live page. */
export type MachineSurface = "command" | "tool" | "page";

interface Declaration<Input extends z.ZodObject, Output extends z.ZodType> {
  readonly summary: string;
  /** Absent: it takes nothing. */
  readonly input?: Input;
  readonly output: Output;
  readonly errors?: readonly OperationErrorCode[];
  /** The most that it does. */
  readonly effect: MachineEffect;
  /** Absent: a read is done by the process that asks, and all else by the host. */
  readonly doneBy?: "caller";
  /** One step may take longer than the five seconds after which a silent host counts as hanging. */
  readonly isLong?: true;
  /** Absent: a command alone. */
  readonly surfaces?: readonly MachineSurface[];
  /** An input, for documents and tests; absent: the empty one. */
  readonly example?: z.input<Input>;
}

export type MachineOperationOf<Input extends z.ZodObject, Output extends z.ZodType> = Declaration<Input, Output> &
  Required<Pick<Declaration<Input, Output>, "input" | "errors" | "surfaces" | "example">>;

export type MachineOperation = MachineOperationOf<z.ZodObject, z.ZodType>;

const nothing = z.strictObject({});

/** Declares an operation of a machine. It is repeatable: a call without an answer is sent again. */
export function machineOperation<Output extends z.ZodType, Input extends z.ZodObject = typeof nothing>(
  declared: Declaration<Input, Output>,
): MachineOperationOf<Input, Output> {
  const defaults = { input: nothing as unknown as Input, errors: [], surfaces: ["command"] as const };
  return { ...defaults, example: {} as z.input<Input>, ...declared };
}
