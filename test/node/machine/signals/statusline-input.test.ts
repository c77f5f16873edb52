import * as fc from "fast-check";
import { expect, it } from "vitest";
import { parse, effectiveWindow } from "#src/machine/signals/context-readings.ts";

const T0 = 1_700_000_000_000;
const window = { context_window_size: 200_000 };
const nothing = { sessionId: null, transcriptPath: null, cwd: null, model: null, costUsd: null, readings: {} };

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

it("reads the whole status line input", () => {
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

it.each([
  [
    "null after a compaction",
    { current_usage: null, total_input_tokens: 0, total_output_tokens: 0, used_percentage: null, ...window },
    undefined,
  ],
  ["only totals", { current_usage: null, total_input_tokens: 900, total_output_tokens: 100 }, 1_000],
  ["only a percentage", { used_percentage: 50, ...window }, 100_000],
  ["a percentage of an unknown window", { used_percentage: 50 }, undefined],
  ["a percentage of zero", { used_percentage: 0, ...window }, undefined],
  ["nothing", null, undefined],
])("context tokens: %s", (_, context, tokens) => {
  const { readings } = parse(aStatusLine({ context_window: context }), T0, {});
  expect(readings.contextTokens?.value).toBe(tokens);
});

it("a rate limit that was reset meanwhile says nothing", () => {
  const limits = { five_hour: { used_percentage: 99, resets_at: T0 / 1_000 - 1 }, seven_day: { used_percentage: 10 } };
  expect(parse(aStatusLine({ rate_limits: limits }), T0, {}).readings.rateLimit?.value).toBe(0.1);
  const over = { five_hour: { used_percentage: 130, resets_at: null } };
  expect(parse(aStatusLine({ rate_limits: over }), T0, {}).readings.rateLimit?.value).toBe(1);
});

it.each(
  [
    ["", "null", "[]", "12", '"text"', "{", "[".repeat(100_000)],
    ['{"model":3,"cost":[],"session_id":{}}', '{"__proto__":{"session_id":"x"}}'],
  ].flat(),
)("hostile text gives nothing: %.20s", (text) => {
  expect(parse(text, T0, {})).toEqual(nothing);
});

it("over-long ids and paths are refused, not cut", () => {
  const input = parse(aStatusLine({ session_id: "x".repeat(201), transcript_path: "y".repeat(4_097) }), T0, {});
  expect(input).toMatchObject({ sessionId: null, transcriptPath: null });
});

it("for any values in its fields nothing throws and every reading is a number that can be true", () => {
  const hostile = fc.oneof(fc.double(), fc.jsonValue({ maxDepth: 1 }), fc.constantFrom(1e308, -1, "12", null));
  const part = (...keys: string[]) => fc.dictionary(fc.constantFrom(...keys), hostile);
  const sums = ["context_window_size", "total_input_tokens", "total_output_tokens", "used_percentage", "current_usage"];
  const input = fc.record(
    {
      session_id: hostile,
      model: part("id"),
      cost: part("total_duration_ms", "total_cost_usd"),
      context_window: part(...sums),
      rate_limits: fc.dictionary(fc.constantFrom("five_hour", "seven_day"), part("used_percentage", "resets_at")),
    },
    { requiredKeys: [] },
  );
  const text = fc.oneof(
    input.map((value) => JSON.stringify(value)),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (given) => {
      for (const [name, { value }] of Object.entries(parse(given, T0, {}).readings)) {
        const most = name === "contextFill" || name === "rateLimit" ? 1 : Number.MAX_SAFE_INTEGER;
        expect(value >= 0 && value <= most, name).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});

it.each<[string | null, number | null, object?, number?]>([
  ["claude-opus-5-5", 1_000_000],
  ["claude-haiku-4-5-20251001", 200_000],
  ["Claude-Sonnet-4-5[1m]", 1_000_000],
  ["claude-sonnet-4-6", null],
  ["us.anthropic.claude-opus-5", null],
  [null, null],
  // Of an unknown window only an auto-compact window that surely fits is taken.
  [null, 150_000, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "150000" }],
  [null, null, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "900000" }],
  // What the client measured overrides the table.
  ["claude-opus-5", 200_000, {}, 200_000],
  // The environment says that the large window is held or doubtful.
  ["claude-opus-5", 200_000, { CLAUDE_CODE_DISABLE_1M_CONTEXT: "1" }],
  ["claude-opus-5", null, { CLAUDE_CODE_USE_VERTEX: "1" }],
  ["claude-opus-5[1m]", 1_000_000, { CLAUDE_CODE_USE_VERTEX: "1" }],
  // A declared window counts for models that are not Claude's.
  ["glm-6", 131_072, { CLAUDE_CODE_MAX_CONTEXT_TOKENS: "131072" }],
  ["claude-opus-9", null, { CLAUDE_CODE_MAX_CONTEXT_TOKENS: "131072" }],
  ["claude-opus-5", 500_000, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "0.5M" }],
  ["claude-opus-5", 1_000_000, { CLAUDE_CODE_AUTO_COMPACT_WINDOW: "soon" }],
])("the window of %j is %j with %j, measured %j", (model, window, env = {}, measured) => {
  expect(effectiveWindow(model, env as NodeJS.ProcessEnv, measured)).toBe(window);
});
