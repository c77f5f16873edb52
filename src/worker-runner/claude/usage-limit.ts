import { isUsageLimit } from "../../local-mcp/signals/crash-cause.ts";
import type { ClaudeEvent, ResultEvent } from "../client/claude-events.ts";
import { isFull } from "./result-outcome.ts";

export interface UsageLimit {
  /** Epoch ms of its end; null: not known. */
  readonly resetsAtMs: number | null;
}

const firstWaitMs = 300_000;
/** A plan's longest window except the weekly one. */
const maxWaitMs = 18_000_000;
/** A reported reset time may be years away by mistake. */
const maxResetDelayMs = 7 * 86_400_000;
/** The reporter's clock differs from this machine's. */
const resetMarginMs = 2_000;

/** @param limits usage limits in a row, before this one, whose reset was not known */
export function waitAtLimit(
  { resetsAtMs }: UsageLimit,
  now: number,
  limits: number,
): { readonly waitMs: number; readonly limits: number } {
  if (resetsAtMs !== null && resetsAtMs > now)
    return { waitMs: Math.min(maxResetDelayMs, resetsAtMs - now + resetMarginMs), limits };
  return { waitMs: Math.min(maxWaitMs, firstWaitMs * 2 ** Math.min(limits, 50)), limits: limits + 1 };
}

const unknownReset: UsageLimit = { resetsAtMs: null };

/** Follows the events of one run; a limit that it got past is none. */
export class LimitReader {
  #limit: UsageLimit | null = null;

  get limit(): UsageLimit | null {
    return this.#limit;
  }

  read(event: ClaudeEvent): void {
    if (event.kind === "limited") this.#limit = { resetsAtMs: event.resetsAtMs };
    if (event.kind === "message") this.#limit = event.problem === "rate_limit" ? (this.#limit ?? unknownReset) : null;
  }

  /** @returns the usage limit that has ended the run; a short throttling of the service is none */
  atEnd(result: ResultEvent, problem: string | null): UsageLimit | null {
    const isLimit = result.isError && !isFull(result) && isUsageLimit(`${problem ?? ""} ${result.text}`);
    return isLimit ? (this.#limit ?? unknownReset) : null;
  }
}

/** [CX29] The limit that the runs of one worker and type have met last; it passes with time. */
export class LimitMemory {
  #until = 0;
  #limits = 0;
  #words = "";

  /** Claude Code's own words on it. */
  get words(): string {
    return this.#words;
  }

  set(limit: UsageLimit, words: string, now: number): void {
    const { waitMs, limits } = waitAtLimit(limit, now, this.#limits);
    this.#words = words;
    this.#until = now + waitMs;
    this.#limits = limits;
  }

  clear(): void {
    this.#until = 0;
    this.#limits = 0;
  }

  remainingMs(now: number): number {
    return Math.min(maxResetDelayMs + resetMarginMs, Math.max(0, this.#until - now));
  }
}
