import type { OutputOf } from "../../contract/operations.ts";
import type { Entry, Guard } from "../../contract/state.ts";
import type { Json } from "../../contract/values.ts";
import { fullJitter } from "../../shared/backoff.ts";
import { ok, type Result } from "../../shared/result.ts";
import { sleep, type Outside } from "./outside.ts";

/** The edge, or the coordinator of this machine. */
export type Coordinate<Failure> = <Name extends "state.get" | "state.set">(
  name: Name,
  input: Name extends "state.get" ? { readonly key: string } : SetInput,
) => Promise<Result<OutputOf<Name>, Failure>>;

interface SetInput {
  readonly key: string;
  readonly value: Json;
  readonly ifVersion: number;
  readonly guard?: Guard;
  readonly ttlMs?: number;
  readonly by?: string;
}

export interface UpdateOptions extends Pick<SetInput, "guard" | "ttlMs" | "by"> {
  /** How often it is tried while others are first. */
  readonly attempts?: number;
}

/** @param entry null: the key is not there. @returns the new value; undefined: it stays as it is */
export type Change = (entry: Entry | null) => Json | undefined | Promise<Json | undefined>;

const usualAttempts = 20;
const pause = { baseMs: 20, capMs: 2_000 };

/**
 * [EC18] Reads a key, lets `change` make its next value, and writes it only if nobody was first; else all of it again.
 *
 * @returns the version that was written; null: `change` wanted nothing. Refused with `version_mismatch` when others were first each time
 */
export async function atomicUpdate<Failure extends { readonly code: string }>(
  call: Coordinate<Failure>,
  outside: Pick<Outside, "setTimer" | "random">,
  key: string,
  change: Change,
  { attempts = usualAttempts, ...rest }: UpdateOptions = {},
): Promise<Result<{ readonly version: number | null }, Failure>> {
  for (let attempt = 1; ; attempt += 1) {
    const done = await once(call, key, change, rest);
    if (done.ok || done.error.code !== "version_mismatch" || attempt >= attempts) return done;
    await sleep(outside, fullJitter(pause, attempt, outside.random));
  }
}

async function once<Failure>(
  call: Coordinate<Failure>,
  key: string,
  change: Change,
  rest: Omit<UpdateOptions, "attempts">,
): Promise<Result<{ readonly version: number | null }, Failure>> {
  const found = await call("state.get", { key });
  if (!found.ok) return found;
  const { entry } = found.value;
  const value = await change(entry);
  if (value === undefined) return ok({ version: null });
  return call("state.set", { ...rest, key, value, ifVersion: entry?.version ?? 0 });
}
