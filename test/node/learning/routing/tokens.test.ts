import { expect, it } from "vitest";
import { estimateRange, estimateTokens } from "#src/learning/routing/tokens.ts";

const text = "The parser reads a token and the lexer answers with its position. ".repeat(40);

it("an estimate has a range around it", () => {
  const { tokens, low, high } = estimateRange(text, "claude-opus-5-5");
  expect(tokens).toBe(estimateTokens(text, "claude-opus-5-5"));
  expect(low).toBeLessThan(tokens);
  expect(high).toBeGreaterThan(tokens);
  expect(estimateRange("", null)).toEqual({ tokens: 0, low: 0, high: 0 });
});
