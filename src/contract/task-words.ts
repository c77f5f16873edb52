/** Apart from their schemas: the hooks load the metrics, which count tasks and chats by them. */

export const chatStatuses = ["idle", "busy", "stuck", "draining", "offline"] as const;

/** Tasks that may still run; a dead one may be replayed. */
export const openStates = ["blocked", "scheduled", "queued", "assigned", "running", "dead"] as const;

/** poison: it cost too many chats or stalled too often; expired: no claim in time. */
export const deathReasons = ["failed", "poison", "expired", "dependency", "budget_exceeded", "discarded"] as const;

/** Ends of an attempt without a result. Only failed and timeout count against maxAttempts. */
export const attemptEnds = [
  "failed",
  "timeout",
  "stalled",
  "chat_offline",
  "chat_left",
  "not_started",
  "released",
  "cancelled",
  "moved",
  "budget_exceeded",
] as const;
