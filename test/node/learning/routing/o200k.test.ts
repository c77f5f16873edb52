import { expect, it } from "vitest";
import { tokenSamples } from "#harness/tokens/samples.ts";
import { estimateTokens, o200kTokens } from "#src/learning/routing/tokens.ts";

it.each(tokenSamples)("the estimate of $kind is within 15 % of what o200k counts", ({ text, tokens }) => {
  expect(Math.abs(o200kTokens(text) / tokens - 1)).toBeLessThan(0.15);
});

it("a model with o200k gets the plain estimate, any that is not known a half more: a bound", () => {
  for (const { text, tokens } of tokenSamples) {
    for (const model of ["gpt-5.5-codex", "openai/gpt-4o-mini", "o4-mini", "codex-mini-latest", "gpt-oss-120b"])
      expect(estimateTokens(text, model), model).toBe(Math.round(o200kTokens(text)));
    for (const model of [null, "gpt-3.5-turbo", "unheard-of-1"])
      expect(estimateTokens(text, model)).toBeGreaterThan(tokens * 1.2);
  }
  const [{ text } = { text: "" }] = tokenSamples;
  for (const model of ["gemini-3-pro", "qwen3-coder", "deepseek-v4", "mistral-large", "devstral-2"])
    expect(estimateTokens(text, model), model).toBe(Math.round(1.2 * o200kTokens(text)));
});
