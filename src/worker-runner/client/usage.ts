import type { RemainingBudget, Usage } from "../../contract/budgets.ts";
import type { TokenCounts } from "../../local-mcp/usage/ledger.ts";
import { totalTokens, type EndEvent, type RunEvent } from "./run-events.ts";
import type { ClaudeSettings } from "./settings.ts";

const noTokens: TokenCounts = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

interface ApiResponse {
  readonly model: string;
  readonly counts: TokenCounts;
}

/**
 * [CX9] A response counts once; the sum of the last event replaces the count. The cost is estimated
 * (0 without prices) until the client reports it. Never decreases.
 */
export class UsageMeter {
  readonly #prices: ClaudeSettings["prices"];
  readonly #responses = new Map<string, ApiResponse>();
  /** Response that is still arriving, by caller. */
  readonly #openResponses = new Map<string, string>();
  #measured = { tokens: 0, costUsd: 0 };
  #counted = 0;
  #estimated = 0;
  #tokens = 0;
  #costMicros = 0;
  isMeasured = false;

  constructor(prices: ClaudeSettings["prices"]) {
    this.#prices = prices;
  }

  read(event: RunEvent): void {
    if (event.kind === "response") this.#count(event.id, event.counts, event.model);
    else if (event.kind === "counted") {
      const { parent, id, counts } = event;
      if (id !== null) this.#openResponses.set(parent, id);
      const openResponse = this.#openResponses.get(parent);
      if (openResponse !== undefined) this.#count(openResponse, counts, null);
    } else if (event.kind === "ended") this.#measure(event);
  }

  usage(wallMs: number): Usage {
    return { wallMs, tokens: this.#tokens, costMicros: this.#costMicros };
  }

  #count(id: string, newCounts: TokenCounts, model: string | null): void {
    const before = this.#responses.get(id) ?? { model: "unknown", counts: noTokens };
    const larger = (name: keyof TokenCounts): number => Math.max(before.counts[name], newCounts[name]);
    const [input, output] = [larger("input"), larger("output")];
    const counts = { input, output, cacheRead: larger("cacheRead"), cacheWrite: larger("cacheWrite") };
    const after = { model: model ?? before.model, counts };
    this.#responses.set(id, after);
    this.#counted += totalTokens(after.counts) - totalTokens(before.counts);
    this.#estimated += this.#estimate(after) - this.#estimate(before);
    this.#raise(this.#counted, this.#estimated);
  }

  #measure({ tokens, costUsd, isPart }: EndEvent): void {
    const before = isPart ? this.#measured : { tokens: 0, costUsd: 0 };
    this.#measured = { tokens: before.tokens + (tokens ?? 0), costUsd: before.costUsd + (costUsd ?? 0) };
    this.#raise(this.#measured.tokens, this.#measured.costUsd * 1_000_000);
    this.isMeasured ||= costUsd !== null;
  }

  #raise(tokens: number, costMicros: number): void {
    this.#tokens = Math.max(this.#tokens, tokens);
    this.#costMicros = Math.max(this.#costMicros, Math.round(costMicros));
  }

  #estimate({ model, counts }: ApiResponse): number {
    const price = Object.hasOwn(this.#prices, model) ? this.#prices[model] : undefined;
    if (!price) return 0;
    const { input, output, cacheRead, cacheWrite } = counts;
    // Dollars per million tokens are millionths of a dollar per token.
    return input * price.input + output * price.output + cacheRead * price.cacheRead + cacheWrite * price.cacheWrite;
  }
}

const limitNames: Readonly<Record<keyof RemainingBudget, string>> = {
  wallMs: "ms of time",
  tokens: "tokens",
  costMicros: "millionths of a dollar",
};

export function findReachedLimit(usage: Usage, budgetLeft: RemainingBudget): string | null {
  for (const key of ["tokens", "costMicros", "wallMs"] as const) {
    const limit = budgetLeft[key];
    if (limit !== null && usage[key] >= limit) return `${usage[key]} of ${limit} ${limitNames[key]} were used`;
  }
  return null;
}

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

/** [CX29] The limit that the runs of one worker and type have met last; it passes with time. */
export class LimitMemory {
  #until = 0;
  #limits = 0;
  /** The client's own words on it. */
  words = "";

  set(limit: UsageLimit, words: string, now: number): void {
    const { waitMs, limits } = waitAtLimit(limit, now, this.#limits);
    this.words = words;
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
