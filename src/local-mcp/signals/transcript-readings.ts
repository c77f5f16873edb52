import type { Readings } from "../../contract/readings.ts";
import { merge, toReadings } from "../../policy/readings.ts";
import { effectiveWindow } from "./context-window.ts";
import { streakAfter } from "./failed-requests.ts";
import type { Usage } from "./transcript-draft.ts";
import type { TranscriptPart } from "./transcript.ts";

/** [SI19] Prefers the window in `old`, which came from the client. */
export function fromTranscript(part: TranscriptPart, old: Readings, env: NodeJS.ProcessEnv, now: number): Readings {
  const size = toReadings({ transcriptBytes: part.unreadable === null ? part.size : null }, "measured", now);
  const usage = part.contextUsage;
  const known =
    part.contextWindow === null ? old : merge(old, toReadings({ contextWindow: part.contextWindow }, "measured", now));
  return { ...size, ...streakReading(part, old, now), ...(usage ? contextReadings(usage, known, env, now) : {}) };
}

/** An estimate, which lacks the tries of sub-agents; the telemetry has all. */
function streakReading({ outcomes }: TranscriptPart, { apiErrors: before }: Readings, now: number): Readings {
  const dated = outcomes.map(({ at, isFailed }) => ({ at: at ?? now, failedTries: isFailed ? 1 : 0 }));
  const streak = streakAfter(before, dated, "estimated", now);
  return streak && streak !== before ? { apiErrors: streak } : {};
}

function contextReadings(usage: Usage, old: Readings, env: NodeJS.ProcessEnv, now: number): Readings {
  const tokens = usage.inputTokens + usage.cacheReadTokens + usage.cacheCreationTokens + usage.outputTokens;
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
