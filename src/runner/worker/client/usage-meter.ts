import { totalTokens, type EndEvent, type ResponseTokens, type RunEvent } from "../../../clients/adapter/run-output.ts";
import type { RemainingBudget, Usage } from "../../../contract/budgets.ts";

const noTokens: ResponseTokens = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

/**
 * A response counts once; the sum of the last event replaces the count. The cost is 0 until
 * the client reports it. Never decreases.
 */
export class UsageMeter {
  readonly #responses = new Map<string, ResponseTokens>();
  /** Response that is still arriving, by caller. */
  readonly #openResponses = new Map<string, string>();
  #measured = { tokens: 0, costUsd: 0 };
  #counted = 0;
  #tokens = 0;
  #costMicros = 0;
  isMeasured = false;

  read(event: RunEvent): void {
    if (event.kind === "response") this.#count(event.id, event.counts);
    else if (event.kind === "counted") {
      const { parent, id, counts } = event;
      if (id !== null) this.#openResponses.set(parent, id);
      const openResponse = this.#openResponses.get(parent);
      if (openResponse !== undefined) this.#count(openResponse, counts);
    } else if (event.kind === "ended") this.#measure(event);
  }

  usage(wallMs: number): Usage {
    return { wallMs, tokens: this.#tokens, costMicros: this.#costMicros };
  }

  #count(id: string, newCounts: ResponseTokens): void {
    const before = this.#responses.get(id) ?? noTokens;
    const larger = (name: keyof ResponseTokens): number => Math.max(before[name], newCounts[name]);
    const [input, output] = [larger("input"), larger("output")];
    const counts = { input, output, cacheRead: larger("cacheRead"), cacheWrite: larger("cacheWrite") };
    this.#responses.set(id, counts);
    this.#counted += totalTokens(counts) - totalTokens(before);
    this.#tokens = Math.max(this.#tokens, this.#counted);
  }

  #measure({ tokens, costUsd, isPart }: EndEvent): void {
    const before = isPart ? this.#measured : { tokens: 0, costUsd: 0 };
    this.#measured = { tokens: before.tokens + (tokens ?? 0), costUsd: before.costUsd + (costUsd ?? 0) };
    this.#tokens = Math.max(this.#tokens, this.#measured.tokens);
    this.#costMicros = Math.max(this.#costMicros, Math.round(this.#measured.costUsd * 1_000_000));
    this.isMeasured ||= costUsd !== null;
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
