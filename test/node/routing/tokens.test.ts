import { expect, it } from "vitest";
import { estimateRange, estimateTokens } from "#src/routing/tokens.ts";

const text = "The parser reads a token and the lexer answers with its position. ".repeat(40);
const model = "claude-opus-5-5";

it("[RT1] an estimate has a range around it, and says where it is from", () => {
  const estimate = estimateRange(text, model);
  expect(estimate).toMatchObject({ tokens: estimateTokens(text, model), source: "default", samples: 0 });
  expect(estimate.low).toBeLessThan(estimate.tokens);
  expect(estimate.high).toBeGreaterThan(estimate.tokens);
  expect(estimateRange("", null)).toEqual({ tokens: 0, low: 0, high: 0, source: "default", samples: 0 });
  expect(estimateRange(text, "Claude-Opus-5-5-20260601", { [model]: { factor: 1, samples: 3 } })).toMatchObject({
    source: "learned",
    samples: 3,
  });
});
