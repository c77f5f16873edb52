import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { calibrate, estimateLong } from "#src/local-mcp/signals/calibrate.ts";
import { estimateTokens, loadFactors } from "#src/local-mcp/signals/tokens.ts";
import { readAppended } from "#src/local-mcp/signals/transcript.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";

const model = "claude-opus-5";
const words = "the parser reads a token and the lexer answers with a position in the file ".repeat(40);

function partOf(text: string, outputTokens: number, input: unknown = {}): ReturnType<typeof readAppended> {
  const path = join(mkdtempSync(join(tmpdir(), "shim-calibrate-")), "transcript.jsonl");
  const content = [
    { type: "text", text },
    { type: "tool_use", id: "t1", name: "Bash", input },
  ];
  writeFileSync(
    path,
    `${anAssistantLine({ id: "m1", model, content, usage: { input_tokens: 10, output_tokens: outputTokens } })}\n`,
  );
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

it("[SI27] a long text is estimated by its density, in proportion to its length", () => {
  const { store } = tempRuntime();
  store.write(() => undefined);
  const tokens = (sample: string, chars: number): number =>
    store.read((sql) => estimateLong(sql, sample, chars, model), -1);
  const once = tokens(words, words.length);
  expect(once).toBeGreaterThan(words.length / 10);
  expect(tokens(words, words.length * 50) / once).toBeCloseTo(50, 0);
  expect(tokens("", 0)).toBe(0);
});
