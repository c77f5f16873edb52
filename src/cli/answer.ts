import { errorTable, type ErrorCode } from "../contract/errors.ts";
import type { OperationResult } from "../machine/operations/operation-context.ts";
import { err, type Result } from "../shared/result.ts";
import type { Shown } from "./views.ts";

/** Stable exit codes; documented in docs/reference/README.md. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  wrongUsage: 2,
  notFound: 3,
  incomplete: 4,
  leaseNotGot: 75,
  leaseLost: 76,
  unusableNode: 78,
  notStartable: 126,
  noSuchProgram: 127,
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface Answer {
  /** Printed as JSON: a stable shape, fields are only added. */
  readonly data: unknown;
  readonly text: Shown;
  /** True: the text quotes stored content, whose `shim` commands are not rewritten. */
  readonly isVerbatim?: boolean;
  /** True: the JSON document ends a stream of lines. */
  readonly isOneLine?: boolean;
  /** True: the command ran and found that something is wrong. */
  readonly isFailed?: boolean;
  readonly exit?: number;
}

/** Why a command did nothing; `message` says what to do. */
export interface CommandError {
  /** Absent: that of the code. */
  readonly exit?: ExitCode;
  readonly code: string;
  readonly message: string;
  readonly candidates?: readonly string[];
  /** A repeat may succeed; not printed. */
  readonly isTransient?: boolean;
}

/** Bad input is wrong usage; a name that does not exist is not found. */
export function exitOf({ exit, code }: CommandError): number {
  if (exit !== undefined) return exit;
  if (code === "ambiguous" || code === "wrong_usage") return exitCodes.wrongUsage;
  if (code === "interrupted" || code === "stopped") return exitCodes.interrupted;
  if (code === "not_found") return exitCodes.notFound;
  const declared = Object.hasOwn(errorTable, code) ? errorTable[code as ErrorCode] : null;
  if (declared === null) return exitCodes.failed;
  if ("isBadInput" in declared) return exitCodes.wrongUsage;
  return declared.status === 404 && code !== "unknown_operation" ? exitCodes.notFound : exitCodes.failed;
}

export type CliResult<T> = Result<T, CommandError>;

export type FailedResult = { readonly ok: false; readonly error: CommandError };

export function failed(code: string, message: string): FailedResult {
  return err({ exit: exitCodes.failed, code, message });
}

/** Ends a command after Ctrl-C that had nothing to show yet. */
export const interrupted: FailedResult = err({
  exit: exitCodes.interrupted,
  code: "stopped",
  message: "it was stopped.",
});

export function wrongUsage(message: string): FailedResult {
  return err({ exit: exitCodes.wrongUsage, code: "wrong_usage", message });
}

export function ambiguous(message: string, candidates: readonly string[]): FailedResult {
  return err({ exit: exitCodes.wrongUsage, code: "ambiguous", message, candidates });
}

export function notFound(message: string): FailedResult {
  return err({ exit: exitCodes.notFound, code: "not_found", message });
}

/** A host's answer with the exit code of its refusal. */
export function toCliResult<T>(answer: OperationResult<T>): CliResult<T> {
  if (answer.ok) return answer;
  const { code, message, candidates = [] } = answer.error;
  if (code === "bad_input") return wrongUsage(message);
  if (code === "not_found") return notFound(message);
  return code === "ambiguous" ? ambiguous(message, candidates) : failed(code, message);
}
