import type { Failure, FailureCode } from "../contract/errors.ts";

/** Refusals are expected outcomes. Bugs and broken storage throw. */
export type Result<T, E = Failure> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

export function fail(code: FailureCode, message: string): { readonly ok: false; readonly error: Failure } {
  return err({ code, message });
}
