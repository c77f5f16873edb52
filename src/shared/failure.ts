import { err } from "./result.ts";

/** Why something was not done; `message` says what to do. */
export interface Failure {
  /** bad_input: wrong usage; not_found: no such thing; stopped: by a signal. */
  readonly code: string;
  readonly message: string;
}

export function fail(code: string, message: string): { readonly ok: false; readonly error: Failure } {
  return err({ code, message });
}
