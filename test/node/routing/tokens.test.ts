import { expect, it } from "vitest";
import { checkEstimates, readPairs, type TokenPair } from "#src/local-mcp/signals/token-check.ts";
import { estimateRange, estimateTokens, learn, type Factors } from "#src/routing/tokens.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { anAssistantLine, aToolUse, aTranscript } from "#harness/machine/transcripts.ts";

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

function learned(ratios: readonly number[]): Factors {
  return ratios.reduce<Factors>((factors, ratio) => learn(factors, model, 1_000, 1_000 * ratio), {});
}

function widthOf(factors: Factors): number {
  const { low, high, tokens } = estimateRange(text, model, factors);
  return (high - low) / tokens;
}

it("[RT2] the range follows the errors: steady counts narrow it, scattered ones widen it", () => {
  const steady = learned(Array.from({ length: 30 }, () => 1));
  const scattered = learned(Array.from({ length: 30 }, (_, at) => (at % 2 === 0 ? 0.5 : 2)));
  expect(widthOf(steady)).toBeLessThan(widthOf({}) * 0.7);
  expect(widthOf(scattered)).toBeGreaterThan(widthOf({}) * 1.5);
  // A single lucky count does not make a narrow range.
  expect(widthOf(learned([1]))).toBeGreaterThan(widthOf({}) * 0.85);
  expect(widthOf({ [model]: { factor: 1.4, samples: 40 } })).toBeCloseTo(widthOf({}), 2);
});

const pairs = (ratios: readonly number[]): TokenPair[] =>
  ratios.map((ratio) => ({ model, text, measured: Math.round(estimateTokens(text, model) * ratio) }));

it("[RT4] each count is estimated by what was learned before it alone", () => {
  expect(checkEstimates([])).toEqual({ pairs: 0, medianError: null, p90Error: null, insideShare: null });
  expect(checkEstimates(pairs([2]))).toMatchObject({ pairs: 1, medianError: expect.closeTo(0.5, 3), insideShare: 0 });
  const steady = pairs(Array.from({ length: 40 }, () => 1.3));
  expect(checkEstimates(steady).medianError).toBeLessThan(0.02);
  expect(checkEstimates(steady, false).medianError).toBeCloseTo(1 - 1 / 1.3, 2);
});

it("[RT4] planted errors of kinds of text are inside the range about nine times in ten", () => {
  const random = seededRandom(5);
  // Measured by others for a newer tokenizer against an older one, by kind of content.
  const kinds = [1.47, 1.36, 1.29, 1.2, 1.01];
  const measured = (): number => {
    const kind = kinds[Math.floor(random() * kinds.length)] ?? 1;
    const noise = Math.exp(0.08 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
    return Math.round(estimateTokens(text, "claude-opus-4-6") * kind * noise);
  };
  const check = checkEstimates(Array.from({ length: 2_000 }, () => ({ model, text, measured: measured() })));
  expect(check.insideShare).toBeGreaterThan(0.88);
  expect(check.medianError).toBeLessThan(0.15);
});

it("[RT4] pairs are whole responses of one model, without thinking, with enough text", () => {
  const usage = { output_tokens: 700 };
  const content = (...more: Record<string, unknown>[]) => [{ type: "text", text }, ...more];
  const lines = aTranscript(
    anAssistantLine({ id: "a", model, content: content(), usage: { output_tokens: 1 } }),
    anAssistantLine({ id: "a", model, content: [aToolUse("t", "Bash", { command: text })], usage }),
    anAssistantLine({ id: "b", model, content: content({ type: "thinking", thinking: "" }), usage }),
    anAssistantLine({ id: "c", model, content: [{ type: "text", text: "short" }], usage: { output_tokens: 3 } }),
    anAssistantLine({ id: "d", model: "claude-haiku-5-5", content: content(), usage }),
    anAssistantLine({ id: "e", model, content: content(), usage }),
  );
  const pairs = readPairs([...lines.split("\n"), "{broken", '{"type":"assistant"}']);
  expect(pairs.map((pair) => [pair.model, pair.measured])).toEqual([
    [model, 700],
    ["claude-haiku-5-5", 700],
    [model, 703],
  ]);
  expect(pairs[0]?.text).toContain('"name":"Bash"');
});
