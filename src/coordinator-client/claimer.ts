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

const claimTimeoutMs = 30_000;

/** [WK2] Repeats a lost request under its id, so tasks it already claimed are not orphaned. */
export class Claimer {
  readonly #link: CoordinatorClient;
  readonly #platform: Pick<Platform, "clock" | "random">;
  readonly #types: readonly string[];
  #requestId: string | null = null;

  constructor(link: CoordinatorClient, platform: Pick<Platform, "clock" | "random">, types: readonly string[]) {
    this.#link = link;
    this.#platform = platform;
    this.#types = types;
  }

  async claim(
    limit: number,
    types: readonly string[] = this.#types,
    timeoutMs: number = claimTimeoutMs,
  ): Promise<ClaimResult> {
    const since = readClock(this.#platform.clock);
    this.#requestId ??= newId(this.#platform);
    const typeFilter = types.length > 0 ? { types: [...types] } : {};
    const input = { requestId: this.#requestId, limit, ...typeFilter, isStarted: true };
    const answer = await this.#link.call("tasks.claim", input, timeoutMs);
    if (answer.ok) {
      this.#requestId = null;
      return { tasks: answer.value.claims, since, error: null };
    }
    if (!isTransient(answer.error)) this.#requestId = null;
    return { tasks: [], since, error: answer.error };
  }
}
