import * as z from "zod";
import { machineOperation } from "./operation.ts";

const TokenCheck = z.object({
  pairs: z.int(),
  /** Shares; null without pairs. */
  medianError: z.number().nullable(),
  p90Error: z.number().nullable(),
  insideShare: z.number().nullable(),
});
export type TokenCheck = z.infer<typeof TokenCheck>;

const PricedTokens = z.object({
  tokens: z.int(),
  low: z.int(),
  high: z.int(),
  /** learned: from counts of the API for this model. */
  source: z.enum(["learned", "default"]),
  samples: z.int(),
  /** Price as uncached input; null: no price is set for the model. */
  dollars: z.number().nullable(),
  pricesAsOf: z.string().nullable(),
  priceNote: z.string(),
});
export type PricedTokens = z.infer<typeof PricedTokens>;

export const tokenOperations = {
  "tokens.estimate": machineOperation({
    summary: "Estimated tokens of a text, and their price as input.",
    input: z.strictObject({
      text: z.string(),
      model: z.string().optional().describe("the model that reads it; without one the estimate is on the high side"),
    }),
    output: PricedTokens,
    effect: "read",
    example: { text: "a text", model: "claude-opus-5-5" },
  }),
  "tokens.check": machineOperation({
    summary: "How far estimates are from what the API counted, by responses in transcripts.",
    input: z.strictObject({ transcripts: z.array(z.string()) }),
    output: z.object({ learned: TokenCheck, default: TokenCheck }),
    effect: "read",
    example: { transcripts: [] },
  }),
};
