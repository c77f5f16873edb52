import type { OutputOf } from "../../contract/operations.ts";
import type { Entry, Guard } from "../../contract/state.ts";
import type { Json } from "../../contract/json.ts";
import { fullJitter } from "../../shared/backoff.ts";
import { ok, type Result } from "../../shared/result.ts";
import { sleep, type Platform } from "./platform.ts";

export type StateCall<Failure> = <Name extends "state.get" | "state.set">(
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
  readonly attempts?: number;
}

/** @param entry null: no such key. @returns the new value; undefined: no change */
export type ValueUpdate = (entry: Entry | null) => Json | undefined | Promise<Json | undefined>;

const defaultAttempts = 20;
const updateBackoff = { baseMs: 20, capMs: 2_000 };

/**
 * [EC18] Writes the next value only if no other writer was first; else repeats.
 * @returns the version written; null: no change. Refused with `version_mismatch` in the end
 */
export async function atomicUpdate<Failure extends { readonly code: string }>(
  call: StateCall<Failure>,
  platform: Pick<Platform, "setTimer" | "random">,
  key: string,
  update: ValueUpdate,
  { attempts = defaultAttempts, ...setOptions }: UpdateOptions = {},
): Promise<Result<{ readonly version: number | null }, Failure>> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await tryUpdate(call, key, update, setOptions);
    if (result.ok || result.error.code !== "version_mismatch" || attempt >= attempts) return result;
    await sleep(platform, fullJitter(updateBackoff, attempt, platform.random));
  }
}

async function tryUpdate<Failure>(
  call: StateCall<Failure>,
  key: string,
  update: ValueUpdate,
  setOptions: Omit<UpdateOptions, "attempts">,
): Promise<Result<{ readonly version: number | null }, Failure>> {
  const current = await call("state.get", { key });
  if (!current.ok) return current;
  const { entry } = current.value;
  const value = await update(entry);
  if (value === undefined) return ok({ version: null });
  return call("state.set", { ...setOptions, key, value, ifVersion: entry?.version ?? 0 });
}
