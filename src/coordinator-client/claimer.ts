import type { CoordinatorClient } from "./coordinator-client.ts";
import { isTransient, type CallError } from "../contract/errors.ts";
import type { ClaimedTask } from "../contract/tasks.ts";
import { newId, type Platform } from "./edge/platform.ts";
import { readClock, type Instant } from "./edge/trust.ts";

export interface ClaimResult {
  readonly tasks: readonly ClaimedTask[];
  readonly since: Instant;
  readonly error: CallError | null;
}

/** @param types empty: all */
export type Claim = (limit: number, types: readonly string[]) => Promise<ClaimResult>;

/** Repeats a lost request under its id, so tasks it already claimed are not orphaned. */
export function claimer(
  link: CoordinatorClient,
  platform: Pick<Platform, "clock" | "random">,
  timeoutMs = 30_000,
): Claim {
  let requestId: string | null = null;
  return async (limit, types) => {
    const since = readClock(platform.clock);
    requestId ??= newId(platform);
    const typeFilter = types.length > 0 ? { types: [...types] } : {};
    const answer = await link.call("tasks.claim", { requestId, limit, ...typeFilter, isStarted: true }, timeoutMs);
    if (answer.ok || !isTransient(answer.error)) requestId = null;
    return { tasks: answer.ok ? answer.value.claims : [], since, error: answer.ok ? null : answer.error };
  };
}
