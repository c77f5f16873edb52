import * as z from "zod/mini";

/** `config.json`. zod/mini, and built only when there is such a file: the hook loads this. */

const day = 86_400_000;

export type RecoverySetting = "ask" | "brief" | "resume";
export type WakeSetting = "hooks" | "socket";

/** What holds where the file says nothing. Times in ms, sizes in bytes, shares 0 to 1. */
export const defaults = {
  /** What SessionStart does with a session that died: only ask, hand over the brief, or tell the chat to go on at once. */
  recovery: "brief" as RecoverySetting,
  /** Older incomplete sessions are listed, not offered. */
  offerMaxAgeMs: 7 * day,
  risk: {
    weights: {
      contextFill: 0.3,
      sinceCheckpoint: 0.4,
      memory: 0.3,
      rateLimit: 0.2,
      toolErrors: 0.1,
      latencyTrend: 0.1,
      transcriptSize: 0.1,
    },
    thresholds: {
      /** Fill of the effective context window. */
      contextFill: 0.75,
      /** Used instead of contextFill where the window is unknown. */
      contextTokens: 150_000,
      sinceCheckpointMs: 480_000,
      /** Share of the memory that is available to the machine. */
      memory: 0.8,
      rateLimit: 0.9,
      toolErrors: 0.3,
      /** Newest tool latencies against the session's usual one. */
      latencyTrend: 3,
      transcriptBytes: 50_000_000,
    },
    levels: { warning: 0.3, danger: 0.6, critical: 0.8 },
  },
  checkpoint: {
    everyToolCalls: 10,
    everyMs: 300_000,
    /** Tool names, `*` as wildcard; a checkpoint with files is taken before they run. */
    beforeTools: [] as string[],
    /** Largest state of one checkpoint, before compression. */
    maxBytes: 1_048_576,
  },
  snapshots: { isEnabled: true, maxFileBytes: 1_048_576, maxTotalBytes: 268_435_456, timeoutMs: 10_000 },
  retention: { maxAgeMs: 30 * day, checkpointsPerSession: 50, maxBytes: 1_073_741_824, backups: 5 },
  team: {
    /** Off: the chat registers with nobody, and has the six tools of a chat that works alone. */
    isEnabled: true,
    /** Also refuses an edit of a file that is reserved in another checkout; else that is a warning. */
    strictFiles: false,
    /** How often in an hour a chat goes on by itself at the end of a turn, because there is news for it. */
    maxContinuationsPerHour: 3,
    /** How news reaches a chat: by its next hook; or, in Claude Code, also while it is idle, by its messaging socket. */
    wake: "hooks" as WakeSetting,
  },
  /** The user's own status line command, run by `shim statusline` before its own part. */
  statusLine: null as string | null,
};
export type Config = typeof defaults;

/** Unknown keys are refused, so that a typing error is seen. */
export function configSchema(): z.ZodMiniType<Config> {
  const { offerMaxAgeMs, checkpoint, retention, snapshots } = defaults;
  return z.strictObject({
    recovery: z._default(z.enum(["ask", "brief", "resume"]), defaults.recovery),
    offerMaxAgeMs: z._default(positive(), offerMaxAgeMs),
    risk: z.prefault(riskSchema(), {}),
    checkpoint: section({
      everyToolCalls: z._default(positive(), checkpoint.everyToolCalls),
      everyMs: z._default(positive(), checkpoint.everyMs),
      beforeTools: z._default(
        z.array(z.string().check(z.maxLength(200))).check(z.maxLength(50)),
        checkpoint.beforeTools,
      ),
      maxBytes: z._default(positive(), checkpoint.maxBytes),
    }),
    snapshots: section({
      isEnabled: z._default(z.boolean(), snapshots.isEnabled),
      maxFileBytes: z._default(positive(), snapshots.maxFileBytes),
      maxTotalBytes: z._default(positive(), snapshots.maxTotalBytes),
      timeoutMs: z._default(positive(), snapshots.timeoutMs),
    }),
    retention: section({
      maxAgeMs: z._default(positive(), retention.maxAgeMs),
      checkpointsPerSession: z._default(positive(), retention.checkpointsPerSession),
      maxBytes: z._default(positive(), retention.maxBytes),
      backups: z._default(positive(), retention.backups),
    }),
    team: teamSchema(),
    statusLine: z._default(z.nullable(z.string().check(z.maxLength(2_000))), defaults.statusLine),
  });
}

function teamSchema() {
  const { team } = defaults;
  return section({
    isEnabled: z._default(z.boolean(), team.isEnabled),
    strictFiles: z._default(z.boolean(), team.strictFiles),
    maxContinuationsPerHour: z._default(z.int().check(z.minimum(0), z.maximum(60)), team.maxContinuationsPerHour),
    wake: z._default(z.enum(["hooks", "socket"]), team.wake),
  });
}

function riskSchema() {
  const { weights, thresholds, levels } = defaults.risk;
  return z.strictObject({
    weights: section({
      contextFill: z._default(share(), weights.contextFill),
      sinceCheckpoint: z._default(share(), weights.sinceCheckpoint),
      memory: z._default(share(), weights.memory),
      rateLimit: z._default(share(), weights.rateLimit),
      toolErrors: z._default(share(), weights.toolErrors),
      latencyTrend: z._default(share(), weights.latencyTrend),
      transcriptSize: z._default(share(), weights.transcriptSize),
    }),
    thresholds: section({
      contextFill: z._default(share(), thresholds.contextFill),
      contextTokens: z._default(positive(), thresholds.contextTokens),
      sinceCheckpointMs: z._default(positive(), thresholds.sinceCheckpointMs),
      memory: z._default(share(), thresholds.memory),
      rateLimit: z._default(share(), thresholds.rateLimit),
      toolErrors: z._default(share(), thresholds.toolErrors),
      latencyTrend: z._default(z.number().check(z.positive()), thresholds.latencyTrend),
      transcriptBytes: z._default(positive(), thresholds.transcriptBytes),
    }),
    levels: section({
      warning: z._default(share(), levels.warning),
      danger: z._default(share(), levels.danger),
      critical: z._default(share(), levels.critical),
    }),
  });
}

/** Absent as a whole, a section has the defaults of its fields. */
function section<Shape extends Record<string, z.ZodMiniDefault>>(shape: Shape) {
  const schema = z.strictObject(shape);
  // Every field has a default, so an empty object is an input; the type cannot tell that of a shape it does not know.
  return z.prefault(schema, {} as z.input<typeof schema>);
}

function positive() {
  return z.int().check(z.positive());
}

function share() {
  return z.number().check(z.minimum(0), z.maximum(1));
}
