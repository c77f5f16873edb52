import * as fc from "fast-check";
import { expect, it } from "vitest";
import { parse } from "#src/local-mcp/signals/statusline-input.ts";
import { canonicalModel, effectiveWindow, windowsAsOf } from "#src/local-mcp/signals/context-window.ts";

const T0 = 1_700_000_000_000;

/** What Claude Code's documentation shows, in its shape. */
function aStatusLine(overrides: Record<string, unknown> = {}): string {
  return JSON.stringify({
    cwd: "/home/ann/app",
    session_id: "5f0e0e5e-0000-4000-8000-000000000001",
    transcript_path: "/home/ann/.claude/projects/app/5f0e.jsonl",
    model: { id: "claude-opus-5", display_name: "Opus" },
    version: "2.1.328",
    cost: { total_cost_usd: 0.01234, total_duration_ms: 45_000 },
    context_window: {
      total_input_tokens: 15_500,
      total_output_tokens: 1_200,
      context_window_size: 200_000,
      used_percentage: 8,
      current_usage: {
        input_tokens: 8_500,
        output_tokens: 1_200,
        cache_creation_input_tokens: 5_000,
        cache_read_input_tokens: 2_000,
      },
    },
    rate_limits: {
      five_hour: { used_percentage: 23.5, resets_at: T0 / 1_000 + 60 },
      seven_day: { used_percentage: 41, resets_at: T0 / 1_000 + 60 },
    },
    ...overrides,
  });
}

it("[SI6] reads the whole status line input", () => {
  const measured = (value: number): object => ({ value, source: "measured", at: T0 });
  expect(parse(aStatusLine(), T0, {})).toEqual({
    sessionId: "5f0e0e5e-0000-4000-8000-000000000001",
    transcriptPath: "/home/ann/.claude/projects/app/5f0e.jsonl",
    cwd: "/home/ann/app",
    model: "claude-opus-5",
    costUsd: 0.01234,
    readings: {
      contextTokens: measured(16_700),
      contextWindow: measured(200_000),
      contextFill: measured(0.0835),
      rateLimit: measured(0.41),
      sessionAgeMs: measured(45_000),
    },
  });
});

it("[SI7] the fill is a share of the auto-compact window where that is smaller", () => {
  const { readings } = parse(aStatusLine(), T0, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "100000" });
  expect(readings.contextWindow?.value).toBe(100_000);
  expect(readings.contextFill?.value).toBeCloseTo(0.167);
});

it.each([
  [
    "null after a compaction",
    {
      current_usage: null,
      total_input_tokens: 0,
      total_output_tokens: 0,
      used_percentage: null,
      context_window_size: 200_000,
    },
    undefined,
  ],
  ["only totals", { current_usage: null, total_input_tokens: 900, total_output_tokens: 100 }, 1_000],
  ["only a percentage", { used_percentage: 50, context_window_size: 200_000 }, 100_000],
  ["a percentage of an unknown window", { used_percentage: 50 }, undefined],
  ["a percentage of zero", { used_percentage: 0, context_window_size: 200_000 }, undefined],
  ["nothing", null, undefined],
])("[SI7] context tokens: %s", (_, context, tokens) => {
  const { readings } = parse(aStatusLine({ context_window: context }), T0, {});
  expect(readings.contextTokens?.value).toBe(tokens);
});

it("[SI7] the window of the table stands in where the client names none, and an over-full context is full", () => {
  const { readings } = parse(aStatusLine({ context_window: { total_input_tokens: 2_000_000 } }), T0, {});
  expect(readings).toMatchObject({ contextWindow: { value: 1_000_000 }, contextFill: { value: 1 } });
});

it("[SI6] a rate limit that was reset meanwhile says nothing", () => {
  const limits = { five_hour: { used_percentage: 99, resets_at: T0 / 1_000 - 1 }, seven_day: { used_percentage: 10 } };
  expect(parse(aStatusLine({ rate_limits: limits }), T0, {}).readings.rateLimit?.value).toBe(0.1);
  const over = { five_hour: { used_percentage: 130, resets_at: null } };
  expect(parse(aStatusLine({ rate_limits: over }), T0, {}).readings.rateLimit?.value).toBe(1);
});

it.each([
  "",
  "null",
  "[]",
  "12",
  '"text"',
  "{",
  "[".repeat(100_000),
  '{"model":3,"cost":[],"session_id":{}}',
  '{"__proto__":{"session_id":"x"}}',
])("[SI6] hostile text gives nothing: %.20s", (text) => {
  expect(parse(text, T0, {})).toEqual({
    sessionId: null,
    transcriptPath: null,
    cwd: null,
    model: null,
    costUsd: null,
    readings: {},
  });
});

it("[SI6] over-long ids and paths are refused, not cut", () => {
  const input = parse(aStatusLine({ session_id: "x".repeat(201), transcript_path: "y".repeat(4_097) }), T0, {});
  expect(input).toMatchObject({ sessionId: null, transcriptPath: null });
});

it("[SI6] whatever stands in the fields, nothing throws and every reading is a number that can be true", () => {
  const hostile = fc.oneof(fc.double(), fc.jsonValue({ maxDepth: 1 }), fc.constantFrom(1e308, -1, "12", null));
  const part = (...keys: string[]) => fc.dictionary(fc.constantFrom(...keys), hostile);
  const input = fc.record(
    {
      session_id: hostile,
      model: part("id"),
      cost: part("total_duration_ms", "total_cost_usd"),
      context_window: part(
        "context_window_size",
        "total_input_tokens",
        "total_output_tokens",
        "used_percentage",
        "current_usage",
      ),
      rate_limits: fc.dictionary(fc.constantFrom("five_hour", "seven_day"), part("used_percentage", "resets_at")),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        input.map((value) => JSON.stringify(value)),
        fc.string(),
      ),
      (text) => {
        for (const [name, reading] of Object.entries(parse(text, T0, {}).readings)) {
          expect(reading.value).toBeGreaterThanOrEqual(0);
          expect(reading.value).toBeLessThanOrEqual(
            name === "contextFill" || name === "rateLimit" ? 1 : Number.MAX_SAFE_INTEGER,
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

it.each([
  ["claude-opus-5-5", 1_000_000],
  ["claude-opus-4-8", 1_000_000],
  ["claude-sonnet-5", 1_000_000],
  ["claude-haiku-4-5-20251001", 200_000],
  ["claude-opus-4-1-20250805", 200_000],
  ["claude-sonnet-4-20250514", 200_000],
  ["Claude-Sonnet-4-5[1m]", 1_000_000],
  ["claude-sonnet-4-6", null],
  ["claude-opus-4-6", null],
  ["claude-opus-9", null],
  ["us.anthropic.claude-opus-5", null],
  ["gpt-x", null],
  ["", null],
])("[SI10] the window of %s is %s", (model, window) => {
  expect(effectiveWindow(model, {})).toBe(window);
});

it("[SI10] the table says when it was checked", () => {
  expect(Number.isNaN(Date.parse(windowsAsOf))).toBe(false);
  expect(canonicalModel(" Claude-Haiku-4-5-20251001 ")).toBe("claude-haiku-4-5");
});

it.each([
  ["300000", 300_000],
  ["500k", 500_000],
  ["0.5M", 500_000],
  ["500", 100_000],
  ["2M", 1_000_000],
  ["soon", 1_000_000],
  ["-1", 1_000_000],
  ["0", 1_000_000],
  ["", 1_000_000],
])("[SI10] CLAUDE_CODE_AUTO_COMPACT_WINDOW=%s makes it %s", (value, window) => {
  expect(effectiveWindow("claude-opus-5", { CLAUDE_CODE_AUTO_COMPACT_WINDOW: value })).toBe(window);
});

it("[SI10] for an unknown window only an auto-compact window that surely fits is taken", () => {
  expect(effectiveWindow(null, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "150000" })).toBe(150_000);
  expect(effectiveWindow(null, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "900000" })).toBeNull();
  expect(effectiveWindow(null, {})).toBeNull();
});

it("[SI10] what the client measured stands above the table", () => {
  expect(effectiveWindow("claude-opus-5", {}, 200_000)).toBe(200_000);
  expect(effectiveWindow(null, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "100000" }, 200_000)).toBe(100_000);
});

it("[SI10] the large window is held or doubted where the environment says so", () => {
  expect(effectiveWindow("claude-opus-5", { CLAUDE_CODE_DISABLE_1M_CONTEXT: "1" })).toBe(200_000);
  expect(effectiveWindow("claude-opus-5", { CLAUDE_CODE_DISABLE_1M_CONTEXT: "0" })).toBe(1_000_000);
  expect(effectiveWindow("claude-opus-5", { CLAUDE_CODE_USE_VERTEX: "1" })).toBeNull();
  expect(effectiveWindow("claude-opus-5[1m]", { CLAUDE_CODE_USE_VERTEX: "1" })).toBe(1_000_000);
  expect(effectiveWindow("claude-haiku-4-5", { CLAUDE_CODE_USE_BEDROCK: "1" })).toBe(200_000);
});

it("[SI10] a declared window counts for models that are not Claude's", () => {
  expect(effectiveWindow("glm-6", { CLAUDE_CODE_MAX_CONTEXT_TOKENS: "131072" })).toBe(131_072);
  expect(effectiveWindow("claude-opus-9", { CLAUDE_CODE_MAX_CONTEXT_TOKENS: "131072" })).toBeNull();
});
