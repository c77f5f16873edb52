import type { Sql } from "../../shared/sql.ts";
import { estimateTokens, learn, loadFactors, saveFactors } from "./tokens.ts";
import type { TranscriptPart } from "./transcript.ts";

/** Longer answers are left out: their estimate would take longer than a hook may. */
const maxChars = 20_000;

/**
 * [SI26] Learns the model's factor where the truth is known: the tokens that the API counted for a response against the estimate of its
 * texts and tool calls. Thinking that is not in the transcript makes the factor too large, never too small: estimates err to caution.
 */
export function calibrate(sql: Sql, part: TranscriptPart): void {
  const model = part.usage.at(-1)?.model;
  const measured = part.usage.reduce((sum, one) => sum + one.outputTokens, 0);
  if (!model || measured === 0 || part.skippedBytes > 0) return;
  const assistantTexts = part.texts.filter((text) => text.role === "assistant").map((text) => text.text);
  const callTexts = part.toolCalls.map((call) => JSON.stringify({ name: call.name, input: call.input }));
  const text = [...assistantTexts, ...callTexts].join("\n");
  if (text.length > maxChars) return;
  const factors = loadFactors(sql);
  const learned = learn(factors, model, estimateTokens(text, model, factors), measured);
  if (learned !== factors) saveFactors(sql, learned);
}

/** What is looked at of a text to estimate its tokens: its density is alike throughout. */
export const sampleChars = 2_000;

/** [SI27] Tokens of a text of `chars` characters by the density of a sample of it, so that it costs a fraction of a millisecond. */
export function estimateLong(sql: Sql, sample: string, chars: number, model: string | null): number {
  const tokens = estimateTokens(sample, model, loadFactors(sql));
  return Math.round((tokens * chars) / Math.max(1, sample.length));
}
