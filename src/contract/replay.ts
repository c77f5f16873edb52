import * as z from "zod";

/**
 * Records of sessions for replay: times, kinds and sizes, no texts, names, paths or ids of the
 * user's. Stored in users' files: a change raises the number in `replayFormat`.
 */
export const replayFormat = "shim-replay-1";

const count = z.int().min(0);
/** Milliseconds since the start of the session. */
const at = count;
const share = z.number().min(0).max(1);
const label = z.string().regex(/^[\w.:@/[\]+-]{1,100}$/);

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

export const ReplayEvent = z.strictObject({
  at,
  kind: z.enum(replayKinds),
  /** Number of the tool in order of its first call: calls of one tool are compared. */
  tool: count.optional(),
  durationMs: z.number().min(0).optional(),
  isEdit: z.literal(true).optional(),
  /** A checkpoint after it equals one before it. */
  isSame: z.literal(true).optional(),
});
export type ReplayEvent = z.infer<typeof ReplayEvent>;

/** Readings that the chat's events do not tell. */
export const replayReadings = [
  "contextFill",
  "contextTokens",
  "hostMemory",
  "rateLimit",
  "apiErrors",
  "transcriptBytes",
] as const;

const ReplayReading = z.strictObject({ value: z.number(), at });
export const ReplaySample = z.strictObject({
  at,
  readings: z.partialRecord(z.enum(replayReadings), ReplayReading),
});
export type ReplaySample = z.infer<typeof ReplaySample>;

/** Entries of a checkpoint's state that a brief shows, up to a number of each. */
export const StateCounts = z.strictObject({ prompts: count, files: count });
export type StateCounts = z.infer<typeof StateCounts>;

export const ReplaySave = z.strictObject({
  at,
  trigger: label,
  bytes: count,
  /** Null if the checkpoint could not be read. */
  counts: z.nullable(StateCounts),
});
export type ReplaySave = z.infer<typeof ReplaySave>;

const SettingValue = z.union([z.number(), z.boolean(), label]);
export type SettingValue = z.infer<typeof SettingValue>;

export const ReplaySession = z.strictObject({
  type: z.literal("session"),
  client: label,
  model: z.nullable(label),
  effort: z.nullable(label),
  /** Settings that differ from the defaults; null: an older program ran the session. */
  changed: z.nullable(z.record(label, SettingValue)),
  events: z.array(ReplayEvent).max(200_000),
  samples: z.array(ReplaySample).max(200_000),
  saves: z.array(ReplaySave).max(10_000),
  /** Event numbers are complete: none was removed as old. */
  isComplete: z.boolean(),
  end: z.strictObject({ at, kind: z.enum(["ended", "died", "open"]), cause: z.nullable(label) }),
  /** Facts that the next chat read again although its brief had them; null: not offered. */
  recovery: z.nullable(
    z.strictObject({ score: z.nullable(share), reads: z.nullable(count), repeats: z.nullable(count) }),
  ),
  durations: z.record(label, z.strictObject({ count, slow: count, sumMs: z.number().min(0) })),
  costMicros: z.nullable(z.number().min(0)),
});
export type ReplaySession = z.infer<typeof ReplaySession>;

export const ReplayHeader = z.strictObject({
  type: z.literal("header"),
  format: z.literal(replayFormat),
  sessions: count,
});
export type ReplayHeader = z.infer<typeof ReplayHeader>;
