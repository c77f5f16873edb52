import type { Readings } from "../../../contract/readings.ts";
import { merge, toReadings } from "./readings.ts";
import { totalTokens } from "../../../clients/transcript/token-counts.ts";
import { limitWindows, type LimitWindow, type Usage } from "../../../clients/transcript/transcript-draft.ts";
import type { TranscriptPart } from "../../../clients/transcript.ts";
import { numberAt, objectAt, parseObject, textAt, type JsonObject } from "../../../shared/json-fields.ts";
import { wordAt } from "../../../redaction/redact.ts";
import { canonicalModel } from "../../../shared/model-name.ts";

/** Prefers the window in `old`, which came from the client. */
export function fromTranscript(part: TranscriptPart, old: Readings, env: NodeJS.ProcessEnv, now: number): Readings {
  const size = toReadings({ transcriptBytes: part.unreadable === null ? part.size : null }, "measured", now);
  const usage = part.contextUsage;
  const known =
    part.contextWindow === null ? old : merge(old, toReadings({ contextWindow: part.contextWindow }, "measured", now));
  return {
    ...size,
    ...toReadings(rateLimit(part.limitWindows, now), "measured", now),
    ...streakReading(part, old, now),
    ...(usage ? contextReadings(usage, known, env, now) : {}),
  };
}

const maxGapMs = 600_000;

/**
 * Counts failed tries since the last answer; ten minutes without one end a streak. An
 * estimate, which lacks the tries of sub-agents. An outcome that is not newer was counted before.
 */
function streakReading({ outcomes }: TranscriptPart, { apiErrors: before }: Readings, now: number): Readings {
  let streak = before;
  for (const { at: reportedAt, isFailed } of outcomes) {
    const at = Math.min(now, reportedAt ?? now);
    if (streak ? at <= streak.at || (!isFailed && streak.value === 0) : !isFailed) continue;
    const earlier = streak && at - streak.at <= maxGapMs ? streak.value : 0;
    streak = { value: isFailed ? earlier + 1 : 0, source: "estimated", at };
  }
  return streak && streak !== before ? { apiErrors: streak } : {};
}

function contextReadings(usage: Usage, old: Readings, env: NodeJS.ProcessEnv, now: number): Readings {
  const tokens = totalTokens(usage);
  if (tokens === 0) return {};
  const at = Math.min(now, usage.at ?? now);
  const measuredWindow = old.contextWindow?.source === "measured" ? old.contextWindow.value : null;
  const window = measuredWindow ?? effectiveWindow(usage.model, env);
  const fill = window === null ? null : Math.min(1, tokens / window);
  return {
    ...toReadings({ contextTokens: tokens }, "measured", at),
    ...toReadings({ contextWindow: window, contextFill: fill }, measuredWindow === null ? "estimated" : "measured", at),
  };
}

/** Each field may be missing or null. */
export interface StatusLineInput {
  readonly sessionId: string | null;
  readonly model: string | null;
  readonly costUsd: number | null;
  readonly readings: Readings;
}

const maxIdChars = 200;
/** A thousand times the largest window: more is no token count. */
const maxTokens = 1_000_000_000;

/** Never throws. The share is of the effective window, unlike `used_percentage`. */
export function parse(text: string, now: number, env: NodeJS.ProcessEnv): StatusLineInput {
  const input = parseObject(text);
  const model = wordAt(objectAt(input, "model"), "id", maxIdChars);
  const cost = objectAt(input, "cost");
  const context = objectAt(input, "context_window");
  const size = numberAt(context, "context_window_size", maxTokens) || null;
  const tokens = contextTokens(context, size);
  const window = effectiveWindow(model, env, size);
  return {
    sessionId: textAt(input, "session_id", maxIdChars),
    model,
    costUsd: numberAt(cost, "total_cost_usd"),
    readings: toReadings(
      {
        contextTokens: tokens,
        contextWindow: window,
        contextFill: tokens === null || window === null ? null : Math.min(1, tokens / window),
        ...rateLimit(limitWindows(objectAt(input, "rate_limits"), claudeWindows, "used_percentage"), now),
        sessionAgeMs: numberAt(cost, "total_duration_ms"),
      },
      "measured",
      now,
    ),
  };
}

/** Null before the first response and after a compaction, when the client does not know. */
function contextTokens(context: JsonObject | null, size: number | null): number | null {
  const usage = objectAt(context, "current_usage");
  const parts = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"];
  const exact = sum(usage, parts) ?? sum(context, ["total_input_tokens", "total_output_tokens"]);
  if (exact !== null) return exact;
  const percent = numberAt(context, "used_percentage", 100);
  return percent === null || percent === 0 || size === null ? null : Math.round((size * percent) / 100);
}

/** Null when all fields are missing or 0: the client writes zeros before it knows. */
function sum(from: JsonObject | null, keys: readonly string[]): number | null {
  const total = keys.reduce((total, key) => total + (numberAt(from, key, maxTokens) ?? 0), 0);
  return total === 0 || total > maxTokens ? null : total;
}

const claudeWindows = ["five_hour", "seven_day"];
const nearlyUsed = 0.9;

/** The fuller window; one that was reset is ignored. */
function rateLimit(
  windows: readonly LimitWindow[],
  now: number,
): Partial<Record<"rateLimit" | "limitResetsAt", number | null>> {
  const open = windows.filter(({ resetsAt }) => resetsAt === null || resetsAt > now);
  const [fullest] = open.toSorted((one, other) => other.share - one.share);
  if (!fullest) return { rateLimit: null };
  return { rateLimit: fullest.share, limitResetsAt: fullest.share < nearlyUsed ? null : fullest.resetsAt };
}

const smallWindow = 200_000;
const largeWindow = 1_000_000;

/** By Claude Code 2.1.328; a missing model is unknown: a wrong window is worse than none. */
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
  const stated = parseTokens(env["CLAUDE_CODE_AUTO_COMPACT_WINDOW"]);
  if (stated === null) return window;
  const compact = Math.max(minCompactWindow, stated);
  if (window !== null) return Math.min(window, compact);
  // The client caps it at an unknown window, but no model here has less than the small one.
  return compact <= smallWindow ? compact : null;
}

function modelWindow(model: string, env: NodeJS.ProcessEnv): number | null {
  const hasSuffix = /\[1m\]$/i.test(model.trim());
  // The variable counts only for ids that cannot be a Claude model's.
  const declared = /claude/i.test(model) ? null : parseTokens(env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"]);
  const known = hasSuffix ? largeWindow : (windows.get(canonicalModel(model)) ?? declared);
  if (known === null || known <= smallWindow) return known;
  if (isOn(env["CLAUDE_CODE_DISABLE_1M_CONTEXT"])) return smallWindow;
  return !hasSuffix && otherClouds.some((name) => isOn(env[name])) ? null : known;
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
