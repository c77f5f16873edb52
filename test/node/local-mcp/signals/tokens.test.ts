import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { loadFactors, saveFactors, calibrate } from "#src/local-mcp/signals/token-factors.ts";
import { estimateTokens, learn, type Factors } from "#src/routing/tokens.ts";
import { readAppended } from "#src/local-mcp/signals/transcript.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolUse, aTranscript } from "#harness/machine/transcripts.ts";

const text = "The quick brown fox jumps over the lazy dog. ".repeat(200);

it("[SI8] the newer tokenizer makes a quarter more of the same text; unknown models count as newer", () => {
  const old = estimateTokens(text, "claude-haiku-4-5-20251001");
  const ratio = (model: string | null): number => estimateTokens(text, model) / old;
  for (const model of ["claude-3-7-sonnet-20250219", "claude-opus-4-6", "claude-sonnet-4-20250514"])
    expect(ratio(model)).toBe(1);
  for (const model of ["claude-opus-4-7", "claude-opus-5-5", "claude-haiku-5-5", "gpt-x", null])
    expect(ratio(model)).toBeCloseTo(1.25, 2);
});

it("[SI8] an empty text has no tokens; of a long one the head and the tail count for the whole", () => {
  expect(estimateTokens("", "claude-opus-5")).toBe(0);
  const long = text.repeat(40);
  expect(estimateTokens(long, null) / long.length).toBeCloseTo(estimateTokens(text, null) / text.length, 2);
});

it("[SI9] learning moves the factor to what was measured, for this model only", () => {
  let factors: Factors = {};
  const truth = estimateTokens(text, "claude-opus-5") * 0.8;
  for (let round = 0; round < 20; round++) {
    factors = learn(factors, "claude-opus-5[1m]", estimateTokens(text, "claude-opus-5", factors), truth);
  }
  expect(Math.abs(estimateTokens(text, "claude-opus-5", factors) - truth)).toBeLessThan(truth * 0.02);
  expect(factors["claude-opus-5"]?.samples).toBe(20);
  expect(estimateTokens(text, "claude-sonnet-5", factors)).toBe(estimateTokens(text, "claude-sonnet-5"));
});

it.each([
  ["too small", 499, 499],
  ["absurdly more", 1_000, 5_001],
  ["absurdly less", 1_000, 199],
  ["not a number", 1_000, NaN],
  ["endless", 1_000, Infinity],
  ["negative", 1_000, -1_000],
])("[SI9] a pair that is %s teaches nothing", (_, estimated, measured) => {
  const factors = { "claude-opus-5": { factor: 1.4, samples: 3 } };
  expect(learn(factors, "claude-opus-5", estimated, measured)).toBe(factors);
});

/** What a model's factor becomes when every thousand estimated tokens turn out to be so many. */
function learnedFrom(measured: number): number | undefined {
  const pairs = Array.from({ length: 30 }, () => measured);
  return pairs.reduce<Factors>((all, value) => learn(all, "m", 1_000, value), {})["m"]?.factor;
}

it("[SI9] factors stay in their bounds and in number", () => {
  const step = fc.record({ model: fc.string({ maxLength: 250 }), estimated: fc.double(), measured: fc.double() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const factors = steps.reduce<Factors>((all, one) => learn(all, one.model, one.estimated, one.measured), {});
      expect(Object.keys(factors).length).toBeLessThanOrEqual(50);
      for (const { factor } of Object.values(factors)) expect(factor >= 0.5 && factor <= 4).toBe(true);
    }),
    { numRuns: 100 },
  );
  expect([learnedFrom(5_000), learnedFrom(200)]).toEqual([4, 0.5]);
  const many = Array.from({ length: 60 }, (_, number) => `model-${number}`).reduce<Factors>(
    (all, model) => learn(all, model, 1_000, 5_000),
    {},
  );
  expect(Object.keys(many)).toHaveLength(50);
  expect(many["model-59"]?.factor).toBeCloseTo(1.5 + 0.2 * 6);
  expect(many["model-0"]).toBeUndefined();
});

it("[SI9] the factors are kept in the store; what is not understood there is left out", () => {
  const { store } = tempRuntime();
  expect(store.write(loadFactors)).toEqual({});
  const factors = { "claude-opus-5": { factor: 1.4, samples: 3 } };
  store.write((sql) => saveFactors(sql, { gone: { factor: 1, samples: 1 } }));
  store.write((sql) => saveFactors(sql, factors));
  expect(store.read(loadFactors, {})).toEqual(factors);
  const put = (value: string): number =>
    store.write((sql) => sql.run("UPDATE meta SET value = ? WHERE key = 'token_factors'", value));
  put('{"a":{"factor":99,"samples":1},"b":{"factor":"1"},"c":null,"d":{"factor":1}}');
  expect(store.read(loadFactors, {})).toEqual({ a: { factor: 4, samples: 1 } });
  put("{broken");
  expect(store.read(loadFactors, {})).toEqual({});
});

const model = "claude-opus-5";
const words = "the parser reads a token and the lexer answers with a position in the file ".repeat(40);

function partOf(text: string, outputTokens: number, input: unknown = {}): ReturnType<typeof readAppended> {
  const path = join(mkdtempSync(join(tmpdir(), "shim-calibrate-")), "transcript.jsonl");
  const content = [{ type: "text", text }, aToolUse("t1", "Bash", input)];
  const usage = { input_tokens: 10, output_tokens: outputTokens };
  writeFileSync(path, aTranscript(anAssistantLine({ id: "m1", model, content, usage })));
  return readAppended(path, 0);
}

it("[SI26] a model's factor moves towards what the API counted", () => {
  const { store } = tempRuntime();
  const before = estimateTokens(words, model);
  store.write((sql) => calibrate(sql, partOf(words, before * 2)));
  const after = store.read((sql) => estimateTokens(words, model, loadFactors(sql)), 0);
  expect(after).toBeGreaterThan(before);
  expect(after).toBeLessThan(before * 2);
});

it("[SI26] a response without a count, or too long to estimate quickly, teaches nothing", () => {
  const { store } = tempRuntime();
  store.write((sql) => calibrate(sql, partOf(words, 0)));
  store.write((sql) => calibrate(sql, partOf("x ".repeat(20_000), 90_000)));
  expect(store.read((sql) => loadFactors(sql), null)).toEqual({});
});

it("[SI26] the arguments of a tool call count as said", () => {
  const { store } = tempRuntime();
  store.write((sql) => calibrate(sql, partOf("", estimateTokens(words, model) * 2, { command: words })));
  expect(store.read((sql) => Object.keys(loadFactors(sql)).length, 0)).toBe(1);
});
