import type { Readings } from "../../contract/readings.ts";
import { numberAt, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../sessions/entries.ts";
import { toReadings } from "../../policy/readings.ts";
import { effectiveWindow } from "./context-window.ts";

/** Each field may be missing or null. */
export interface StatusLineInput {
  readonly sessionId: string | null;
  readonly transcriptPath: string | null;
  readonly cwd: string | null;
  readonly model: string | null;
  readonly costUsd: number | null;
  readonly readings: Readings;
}

const maxIdChars = 200;
const maxPathChars = 4_096;
/** A thousand times the largest window: more is no token count. */
const maxTokens = 1_000_000_000;

/** [SI6] Never throws. [SI7] The share is of the effective window, unlike `used_percentage`. */
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
    transcriptPath: textAt(input, "transcript_path", maxPathChars),
    cwd: textAt(input, "cwd", maxPathChars),
    model,
    costUsd: numberAt(cost, "total_cost_usd"),
    readings: toReadings(
      {
        contextTokens: tokens,
        contextWindow: window,
        contextFill: tokens === null || window === null ? null : Math.min(1, tokens / window),
        rateLimit: rateLimit(objectAt(input, "rate_limits"), now),
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

/** The fuller window, as a share; one that was reset (`resets_at`, epoch seconds) is ignored. */
function rateLimit(limits: JsonObject | null, now: number): number | null {
  const shares = ["five_hour", "seven_day"].flatMap((name) => {
    const limit = objectAt(limits, name);
    const percent = numberAt(limit, "used_percentage");
    const resetsAt = numberAt(limit, "resets_at");
    return percent === null || (resetsAt !== null && resetsAt * 1_000 <= now) ? [] : [Math.min(1, percent / 100)];
  });
  return shares.length === 0 ? null : Math.max(...shares);
}
