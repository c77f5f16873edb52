import { canonicalModel } from "../../shared/model-name.ts";

/** Last comparison of `windows` with what Claude Code 2.1.328 itself assumes. */
export const windowsAsOf = "2026-11-20";

const smallWindow = 200_000;
const largeWindow = 1_000_000;

/** [SI10] A model that is missing here is unknown: a wrong window is worse than none. */
const windows: ReadonlyMap<string, number> = new Map([
  ["claude-3-5-haiku", smallWindow],
  ["claude-3-5-sonnet", smallWindow],
  ["claude-3-7-sonnet", smallWindow],
  ["claude-haiku-4-5", smallWindow],
  ["claude-haiku-5-5", largeWindow],
  ["claude-sonnet-4", smallWindow],
  ["claude-sonnet-4-0", smallWindow],
  ["claude-sonnet-4-5", smallWindow],
  // Sonnet 4.6 and Opus 4.6 have either window, by plan; the transcript does not say which.
  ["claude-sonnet-5", largeWindow],
  ["claude-sonnet-5-5", largeWindow],
  ["claude-opus-4", smallWindow],
  ["claude-opus-4-0", smallWindow],
  ["claude-opus-4-1", smallWindow],
  ["claude-opus-4-5", smallWindow],
  ["claude-opus-4-7", largeWindow],
  ["claude-opus-4-8", largeWindow],
  ["claude-opus-5", largeWindow],
  ["claude-opus-5-5", largeWindow],
  ["claude-fable-5", largeWindow],
  ["claude-fable-5-1", largeWindow],
  ["claude-fable-5-2", largeWindow],
  ["claude-mythos-5", largeWindow],
  ["claude-mythos-5-1", largeWindow],
  ["claude-mythos-5-2", largeWindow],
]);

/** Claude Code raises smaller auto-compact windows to this. */
const minCompactWindow = 100_000;

/** Clouds that run some of the large models with the small window under the same id. */
const otherClouds = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];

const units: ReadonlyMap<string, number> = new Map([
  ["k", 1_000],
  ["m", 1_000_000],
]);

/** Pure. @param measured the window from the status line, which overrides the table */
export function effectiveWindow(
  model: string | null,
  env: NodeJS.ProcessEnv,
  measured: number | null = null,
): number | null {
  const window = measured ?? (model === null ? null : modelWindow(model, env));
  const compact = autoCompactWindow(env);
  if (compact === null) return window;
  if (window !== null) return Math.min(window, compact);
  // The client caps it at an unknown window, but no model here has less than the small one.
  return compact <= smallWindow ? compact : null;
}

function modelWindow(model: string, env: NodeJS.ProcessEnv): number | null {
  const hasSuffix = /\[1m\]$/i.test(model.trim());
  const known = hasSuffix ? largeWindow : (windows.get(canonicalModel(model)) ?? declaredWindow(model, env));
  if (known === null || known <= smallWindow) return known;
  if (isOn(env["CLAUDE_CODE_DISABLE_1M_CONTEXT"])) return smallWindow;
  return !hasSuffix && otherClouds.some((name) => isOn(env[name])) ? null : known;
}

/** `CLAUDE_CODE_MAX_CONTEXT_TOKENS` counts only for ids that cannot be a Claude model's. */
function declaredWindow(model: string, env: NodeJS.ProcessEnv): number | null {
  return /claude/i.test(model) ? null : parseTokens(env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"]);
}

function autoCompactWindow(env: NodeJS.ProcessEnv): number | null {
  const tokens = parseTokens(env["CLAUDE_CODE_AUTO_COMPACT_WINDOW"]);
  return tokens === null ? null : Math.max(minCompactWindow, tokens);
}

/** `500000`, `500k` or `1M`. Older clients read `500k` as 500, so the warning is only late. */
function parseTokens(text: string | undefined): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,9})?)([km]?)$/i.exec(text?.trim() ?? "");
  if (!match) return null;
  const tokens = Math.round(Number(match[1]) * (units.get(match[2]?.toLowerCase() ?? "") ?? 1));
  return tokens >= 1 && tokens <= 1_000_000_000 ? tokens : null;
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && /^(1|true|yes|on)$/i.test(value.trim());
}
