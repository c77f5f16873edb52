import type { Config } from "../../contract/config.ts";
import { estimateRange } from "../../routing/tokens.ts";
import { canonicalModel } from "../../shared/model-name.ts";
import { ok } from "../../shared/result.ts";
import { checkEstimates, readPairs } from "../signals/token-check.ts";
import { loadFactors } from "../signals/token-factors.ts";
import type { Handlers } from "./handlers.ts";

export const tokenHandlers: Handlers<"tokens.estimate" | "tokens.check"> = {
  /** [RT3] The price is the user's own, with its date. */
  async "tokens.estimate"({ runtime }, { text, model = null }) {
    const { store, config } = await runtime();
    const estimate = estimateRange(text, model, store.read(loadFactors, {}));
    const { prices, pricesAsOf } = config.usage;
    const price = priceOf(prices, model);
    const dollars = price === null ? null : (estimate.tokens * price) / 1e6;
    return ok({ ...estimate, dollars, pricesAsOf, priceNote: priceNote(model, price, pricesAsOf) });
  },
  /** [RT4] */
  async "tokens.check"(_context, { transcripts }) {
    const pairs = transcripts.flatMap((text) => readPairs(text.split("\n")));
    return ok({ learned: checkEstimates(pairs), default: checkEstimates(pairs, false) });
  },
};

function priceOf(prices: Config["usage"]["prices"], model: string | null): number | null {
  if (model === null) return null;
  const key = canonicalModel(model);
  return Object.hasOwn(prices, key) ? (prices[key]?.input ?? null) : null;
}

function priceNote(model: string | null, price: number | null, asOf: string | null): string {
  if (model === null) return "No price: name the model with --model.";
  if (price === null) return `No price is set for ${model}: set it with its date in usage.prices and usage.pricesAsOf.`;
  return `By your price of $${price} for a million input tokens${asOf === null ? ", without a date (usage.pricesAsOf)" : `, as of ${asOf}`}.`;
}
