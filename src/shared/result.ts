import type { OperationErrorCode } from "../contract/errors.ts";

/** Refusals are expected outcomes. Bugs and broken storage throw. */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/** Why something was not done; `message` says what to do. */
export interface Failure {
  /** bad_input: wrong usage; not_found: no such thing; stopped: by a signal. */
  readonly code: string;
  readonly message: string;
}

export function fail(code: string, message: string): { readonly ok: false; readonly error: Failure } {
  return err({ code, message });
}

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
