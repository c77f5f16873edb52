import * as z from "zod";
import type { FailureCode } from "../errors.ts";
import { type Declaration, emptyCall, type Nothing } from "../operation.ts";

/** destructive: deletes what nothing brings back, so a client asks its user first. */
export type MachineEffect = "read" | "write" | "destructive";

/** Views besides `shim call`: a command of its own, a tool of a chat, the live page. */
export type MachineSurface = "command" | "tool" | "page";

export interface MachineDetails<Input extends z.ZodObject, Output extends z.ZodType> extends Declaration<
  Input,
  Output,
  FailureCode
> {
  /** The most that it does; absent: it writes. */
  readonly effect?: MachineEffect;
  /** Absent: a read is done by the process that asks, and all else by the host. */
  readonly doneBy?: "caller" | "host";
  /** One step may take longer than the five seconds after which a silent host counts as hanging. */
  readonly isLong?: true;
  /** Absent: a command alone. */
  readonly surfaces?: readonly MachineSurface[];
}

export type MachineOperationOf<Input extends z.ZodObject, Output extends z.ZodType> = MachineDetails<Input, Output> &
  Required<Pick<MachineDetails<Input, Output>, "input" | "errors" | "effect" | "surfaces" | "example">>;

export type MachineOperation = MachineOperationOf<z.ZodObject, z.ZodType>;

/** Declares an operation of a machine. It is repeatable: a call without an answer is sent again. */
export function machineOperation<Output extends z.ZodType, Input extends z.ZodObject = Nothing>(
  declared: MachineDetails<Input, Output>,
): MachineOperationOf<Input, Output> {
  return { ...emptyCall<Input>(), effect: "write", surfaces: ["command"], ...declared };
}

/** How a person writes a value on a command line; the value itself is plain. */
export type Form = "moment" | "duration" | "folder" | "file" | "session-or-project";

/** Epoch ms; a person writes `2d` (so long ago) or a date, which stands for its first moment. */
export const Moment = z.int().min(0).meta({ form: "moment" });

/** Milliseconds; a person writes `30m`. */
export const Duration = z.int().min(1).meta({ form: "duration" });

/** Absolute path; a person may write it relative to the working folder. */
export const Folder = z.string().min(1).max(4_096).meta({ form: "folder" });

/** Absolute path of a file; written as a folder is. */
export const File = z.string().min(1).max(4_096).meta({ form: "file" });

/** Id of a session or a checkpoint, or a beginning of it that no other has. */
export const IdPrefix = z.string().max(200);
/** Refusals of an id that names nothing, or several. */
export const idErrors = ["not_found", "ambiguous"] as const;

/** Never an argument: those are visible to other users of the machine. */
export const Secret = z.string().max(4_096).optional().meta({ isSecret: true });

/** Beginning of a session's id, or an absolute path. */
export const SessionOrProject = z.string().min(1).max(4_096).meta({ form: "session-or-project" });
