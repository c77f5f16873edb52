import type { Check } from "../../contract/machine/installation.ts";
import { messageOf } from "../../shared/error.ts";
import { NeedsHostError, StoreError } from "../../store/store-error.ts";

/** Result of a check; `name` where that is not its own. */
export type Found = Omit<Check, "name"> & { readonly name?: string };
export type AllFound = Found | readonly Found[];
/** Checks by name, in the order of the answer. */
export type Checks<Given> = Readonly<Record<string, (given: Given) => AllFound | Promise<AllFound>>>;

/** One that throws becomes a failure, and the others still run. */
export async function runAll<Given>(checks: Checks<Given>, given: Given): Promise<Check[]> {
  const all: Check[] = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      for (const found of [await check(given)].flat()) all.push({ name, ...found });
    } catch (error) {
      all.push({ name, ...failureOf(error) });
    }
  }
  return all;
}

/** @throws {NeedsHostError} where the host must do the checks */
function failureOf(error: unknown): Found {
  if (error instanceof NeedsHostError) throw error;
  const message = messageOf(error);
  return error instanceof StoreError
    ? fail(message, "Do what the message says, then run `shim doctor` again.")
    : fail(
        `could not be checked: ${message}`,
        "Remove the cause that the message names, then run `shim doctor` again.",
      );
}

export function pass(text: string): Found {
  return { state: "ok", text, fix: null };
}

export function warn(text: string, fix: string): Found {
  return { state: "warn", text, fix };
}

export function fail(text: string, fix: string): Found {
  return { state: "fail", text, fix };
}
