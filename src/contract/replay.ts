/** Record of a session for replay: times, kinds and sizes. Times are ms since its start. */

/** Kinds of journal entries that decide when a checkpoint is due, or what a death would lose. */
export const replayKinds = [
  "prompt",
  "assistant",
  "tool_end",
  "tool_error",
  "turn_end",
  "failure",
  "compacting",
  "compacted",
  "end",
  "other",
] as const;

export interface ReplayEvent {
  readonly at: number;
  readonly kind: (typeof replayKinds)[number];
  readonly tool?: string;
  readonly durationMs?: number;
}

/** Readings that the chat's events do not tell. */
export const replayReadings = [
  "contextFill",
  "contextTokens",
  "hostMemory",
  "rateLimit",
  "apiErrors",
  "transcriptBytes",
] as const;

export interface ReplaySample {
  readonly at: number;
  readonly readings: {
    readonly [Name in (typeof replayReadings)[number]]?: { readonly value: number; readonly at: number };
  };
}

export interface ReplaySave {
  readonly at: number;
  readonly trigger: string;
}

export type SettingValue = number | boolean | string;

export interface ReplaySession {
  readonly events: readonly ReplayEvent[];
  readonly samples: readonly ReplaySample[];
  readonly saves: readonly ReplaySave[];
  /** None of its events was removed as old. */
  readonly isComplete: boolean;
  readonly endAt: number;
}
