import { expect, it } from "vitest";
import { canonicalModel, effectiveWindow, windowsAsOf } from "#src/local-mcp/signals/context-window.ts";

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
