/** Where a figure comes from: read by the client or the machine, said by the model, or computed from text. */
export type Source = "measured" | "reported" | "estimated";

export interface Reading {
  readonly value: number;
  readonly source: Source;
  /** Epoch milliseconds when it was true. */
  readonly at: number;
}

export type ReadingName =
  | "contextTokens"
  | "contextWindow"
  /** Share of the effective context window, 0 to 1. */
  | "contextFill"
  | "clientMemoryBytes"
  /** Share of the machine's available memory in use, 0 to 1. */
  | "hostMemory"
  /** Share of the rate limit used, 0 to 1 (the fuller of the five-hour and the seven-day window). */
  | "rateLimit"
  | "toolCalls"
  /** Share of recent tool calls that failed, 0 to 1. */
  | "toolErrors"
  /** Recent tool latency against the session's usual one, 1 = as usual. */
  | "latencyTrend"
  | "transcriptBytes"
  /** Processes that the kernel has killed for want of memory, since boot. */
  | "oomKills"
  | "sessionAgeMs"
  | "sinceCheckpointMs";

/** Stored as JSON. A name that is missing is not known. */
export type Readings = Partial<Record<ReadingName, Reading>>;

export type RiskLevel = "safe" | "warning" | "danger" | "critical";

export interface RiskReason {
  readonly name: string;
  readonly value: number;
  readonly threshold: number;
  /** What this reason adds to the risk. */
  readonly weight: number;
  readonly source: Source;
}

export interface Risk {
  /** 0 to 1: the sum of the weights of all reasons, capped at 1. */
  readonly score: number;
  readonly level: RiskLevel;
  readonly reasons: readonly RiskReason[];
}

export type CrashCause = "closed" | "killed" | "out_of_memory" | "context_full" | "usage_limit" | "unknown";
