import type { CheckedInputOf } from "#src/contract/operations.ts";
import type { ClaimOptions } from "#src/contract/tasks.ts";
import type { Rng } from "../rng.ts";

/** How a chat is through with a task. */
export interface Ending {
  readonly how: "ack" | "nack" | "release";
  /** What it takes on with the same call. */
  readonly next: ClaimOptions | null;
  readonly nack: Pick<CheckedInputOf<"tasks.nack">, "reason" | "isRetryable" | "delayMs">;
}

export function endingOf(rng: Rng, isCancelled: boolean, isNight: boolean): Ending {
  const next = rng.chance(0.5) ? { limit: 1, isStarted: rng.chance(0.7) } : null;
  const delay = rng.chance(0.3) ? { delayMs: rng.between(0, 20_000) } : {};
  const nack = { reason: "broken", isRetryable: rng.chance(0.8), ...delay };
  if (isNight) return { how: "ack", next, nack };
  const draw = rng.below(10);
  if (isCancelled) return { how: draw < 6 ? "release" : "ack", next, nack };
  return { how: draw < 6 ? "ack" : draw < 9 ? "nack" : "release", next, nack };
}
