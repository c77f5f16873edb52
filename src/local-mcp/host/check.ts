import type { Check } from "../../contract/machine/checks.ts";
import { messageOf } from "../../shared/error.ts";
import { NeedsHostError, StoreError } from "../../store/store-error.ts";

export function pass(name: string, text: string): Check {
  return { name, state: "ok", text, fix: null };
}

export function warn(name: string, text: string, fix: string): Check {
  return { name, state: "warn", text, fix };
}

export function fail(name: string, text: string, fix: string): Check {
  return { name, state: "fail", text, fix };
}

/** [CL130] Runs one check; one that throws becomes a failure, and the other checks still run. */
export function runCheck(name: string, check: () => Check | readonly Check[]): readonly Check[] {
  try {
    return [check()].flat();
  } catch (error) {
    return [failedCheck(name, error)];
  }
}

/** @throws {NeedsHostError} [ST99] where the host must do the checks */
export function failedCheck(name: string, error: unknown): Check {
  if (error instanceof NeedsHostError) throw error;
  const message = messageOf(error);
  if (error instanceof StoreError)
    return fail(name, message, "Do what the message says, then run `shim doctor` again.");
  return fail(
    name,
    `could not be checked: ${message}`,
    "Remove the cause that the message names, then run `shim doctor` again.",
  );
}
