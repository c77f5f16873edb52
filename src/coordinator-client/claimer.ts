import type { ClaimedTask } from "../contract/tasks.ts";
import { newId, type Platform } from "./edge/platform.ts";
import { readClock, type Instant } from "./edge/trust.ts";
import { isTransient, type ChatLink, type CallError } from "./chat-link.ts";

/** What a claim has brought, and the start of the request. */
export interface ClaimResult {
  readonly tasks: readonly ClaimedTask[];
  readonly since: Instant;
  /** Why there is nothing; null: there is nothing to be taken. */
  readonly error: CallError | null;
}

const claimTimeoutMs = 30_000;

/** Asks for tasks. A request whose answer was lost is asked again under its id, so that what it has got is not left lying. [WK2] */
export class Claimer {
  readonly #link: ChatLink;
  readonly #platform: Pick<Platform, "clock" | "random">;
  readonly #types: readonly string[];
  #requestId: string | null = null;

  constructor(link: ChatLink, platform: Pick<Platform, "clock" | "random">, types: readonly string[]) {
    this.#link = link;
    this.#platform = platform;
    this.#types = types;
  }

  /** @param types of none: all */
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
