import type { Result } from "../../shared/result.ts";
import type { MachineOperationName } from "../../contract/machine/operations.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";

/** Before the name of an operation. */
export const callPath = "/call/";
/** The same for the coordinator of this machine. */
export const coordinatorPath = "/coordinator/";
/** Header with the program of the caller, and of the host that answers, as JSON. */
export const programHeader = "shim-program";
/** Marks of the host for a program that stays connected: there was a commit. */
export const commitMarks = { stored: "s", coordinated: "c" } as const;

/** Surface through which a person acts; a phone has a name. */
export type CallerSurface = "command line" | "live page" | `phone ${string}`;

/** An operation, and what the host cannot know of its caller. */
export interface AskedOperation {
  readonly name: MachineOperationName;
  /** Checked, but for a read. */
  readonly input: unknown;
  readonly env: NodeJS.ProcessEnv;
  readonly by: CallerSurface;
  /** The line by which a command describes its process. */
  readonly caller?: string;
}

/** Lines of the host's answer, as JSON: the last one is a result or an error. */
export type AnswerLine =
  | { readonly progress: string }
  | { readonly secretsRemoved: number }
  | { readonly result: Result<unknown> }
  | { readonly error: SentError };

/** Fields by which a command line tells an error of the system from a bug. */
interface SentError {
  readonly message: string;
  readonly stack: string;
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly path?: unknown;
}

export function toSentError(error: unknown): SentError {
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  return { message: messageOf(error), stack: stackOf(error), ...omitUndefined({ code, syscall, path }) };
}
