import * as z from "zod/mini";

/** `config.json`. Every field has a default; unknown keys are refused, so that a typing error is seen. zod/mini: the hook loads this. */
const positive = z.int().check(z.positive());
const share = z.number().check(z.minimum(0), z.maximum(1));
const day = 86_400_000;

const weights = z.strictObject({
  contextFill: z._default(share, 0.3),
  sinceCheckpoint: z._default(share, 0.4),
  memory: z._default(share, 0.3),
  rateLimit: z._default(share, 0.2),
  toolErrors: z._default(share, 0.1),
  latencyTrend: z._default(share, 0.1),
  transcriptSize: z._default(share, 0.1),
});

const thresholds = z.strictObject({
  /** Fill of the effective context window. */
  contextFill: z._default(share, 0.75),
  /** Used instead of contextFill where the window is unknown. */
  contextTokens: z._default(positive, 150_000),
  sinceCheckpointMs: z._default(positive, 480_000),
  /** Share of the memory that is available to the machine. */
  memory: z._default(share, 0.8),
  rateLimit: z._default(share, 0.9),
  toolErrors: z._default(share, 0.3),
  /** Newest tool latencies against the session's usual one. */
  latencyTrend: z._default(z.number().check(z.positive()), 3),
  transcriptBytes: z._default(positive, 50_000_000),
});

const levels = z.strictObject({
  warning: z._default(share, 0.3),
  danger: z._default(share, 0.6),
  critical: z._default(share, 0.8),
});

const checkpoint = z.strictObject({
  everyToolCalls: z._default(positive, 10),
  everyMs: z._default(positive, 300_000),
  /** Tool names, `*` as wildcard; a checkpoint with files is taken before they run. */
  beforeTools: z._default(z.array(z.string().check(z.maxLength(200))).check(z.maxLength(50)), []),
  /** Largest state of one checkpoint, before compression. */
  maxBytes: z._default(positive, 1_048_576),
});

const snapshots = z.strictObject({
  isEnabled: z._default(z.boolean(), true),
  maxFileBytes: z._default(positive, 1_048_576),
  maxTotalBytes: z._default(positive, 268_435_456),
  timeoutMs: z._default(positive, 10_000),
});

const retention = z.strictObject({
  maxAgeMs: z._default(positive, 30 * day),
  checkpointsPerSession: z._default(positive, 50),
  maxBytes: z._default(positive, 1_073_741_824),
  backups: z._default(positive, 5),
});

/** Settings of the local process; times in ms, sizes in bytes, shares 0 to 1. */
export const Config = z.strictObject({
  /** What SessionStart does with a session that died: only ask, hand over the brief, or tell the chat to go on at once. */
  recovery: z._default(z.enum(["ask", "brief", "resume"]), "brief"),
  /** Older incomplete sessions are listed, not offered. */
  offerMaxAgeMs: z._default(positive, 7 * day),
  risk: z.prefault(
    z.strictObject({
      weights: z.prefault(weights, {}),
      thresholds: z.prefault(thresholds, {}),
      levels: z.prefault(levels, {}),
    }),
    {},
  ),
  checkpoint: z.prefault(checkpoint, {}),
  snapshots: z.prefault(snapshots, {}),
  retention: z.prefault(retention, {}),
  /** The user's own status line command, run by `shim statusline` before its own part. */
  statusLine: z._default(z.nullable(z.string().check(z.maxLength(2_000))), null),
});
export type Config = z.infer<typeof Config>;
