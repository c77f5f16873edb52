import type { Usage } from "../../contract/budgets.ts";
import { totalTokens, type ClaudeEvent, type ResultEvent } from "../client/claude-events.ts";
import type { ClaudeSettings } from "./claude-settings.ts";
import type { TokenCounts } from "../../local-mcp/usage/ledger.ts";

interface ApiResponse {
  readonly model: string;
  readonly counts: TokenCounts;
}

const emptyResponse: ApiResponse = { model: "unknown", counts: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 } };

/**
 * [CX9] A response counts once; the sum of the last event replaces the count. The cost is estimated
 * (0 without prices) until Claude Code reports it. Never decreases.
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
  #isMeasured = false;

  constructor(prices: ClaudeSettings["prices"]) {
    this.#prices = prices;
  }

  get isMeasured(): boolean {
    return this.#isMeasured;
  }

  read(event: ClaudeEvent): void {
    if (event.kind === "message") this.#count(event.id, event.counts, event.model);
    else if (event.kind === "counted") {
      const { parent, id, counts } = event;
      if (id !== null) this.#openResponses.set(parent, id);
      const openResponse = this.#openResponses.get(parent);
      if (openResponse !== undefined) this.#count(openResponse, counts);
    } else if (event.kind === "result") this.#measure(event);
  }

  usage(wallMs: number): Usage {
    return { wallMs, tokens: this.#tokens, costMicros: this.#costMicros };
  }

  #count(id: string, newCounts: Partial<TokenCounts>, model?: string): void {
    const before = this.#responses.get(id) ?? emptyResponse;
    const larger = (name: keyof TokenCounts): number => Math.max(before.counts[name], newCounts[name] ?? 0);
    const [input, output] = [larger("input"), larger("output")];
    const counts = { input, output, cacheRead: larger("cacheRead"), cacheWrite: larger("cacheWrite") };
    const after = { model: model ?? before.model, counts };
    this.#responses.set(id, after);
    this.#counted += totalTokens(after.counts) - totalTokens(before.counts);
    this.#estimated += this.#estimate(after) - this.#estimate(before);
    this.#raise(this.#counted, this.#estimated);
  }

  #measure({ tokens, costUsd, isPart }: ResultEvent): void {
    const before = isPart ? this.#measured : { tokens: 0, costUsd: 0 };
    this.#measured = { tokens: before.tokens + (tokens ?? 0), costUsd: before.costUsd + (costUsd ?? 0) };
    this.#raise(this.#measured.tokens, this.#measured.costUsd * 1_000_000);
    this.#isMeasured ||= costUsd !== null;
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
