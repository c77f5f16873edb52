import { expect, it } from "vitest";
import { estimateTokens } from "#src/learning/routing/tokens.ts";

const text = "The quick brown fox jumps over the lazy dog. ".repeat(200);

it("the newer tokenizer makes a quarter more of the same text; unknown models count as newer", () => {
  const old = estimateTokens(text, "claude-haiku-4-5-20251001");
  const ratio = (model: string | null): number => estimateTokens(text, model) / old;
  for (const model of ["claude-3-7-sonnet-20250219", "claude-opus-4-6", "claude-sonnet-4-20250514"])
    expect(ratio(model)).toBe(1);
  for (const model of ["claude-opus-4-7", "claude-opus-5-5", "claude-haiku-5-5", "gpt-x", null])
    expect(ratio(model)).toBeCloseTo(1.25, 2);
});

it("an empty text has no tokens; of a long one the head and the tail count for the whole", () => {
  expect(estimateTokens("", "claude-opus-5")).toBe(0);
  const long = text.repeat(40);
  expect(estimateTokens(long, null) / long.length).toBeCloseTo(estimateTokens(text, null) / text.length, 2);
});
