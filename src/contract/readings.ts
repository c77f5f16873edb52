/** Origin: read by the client or the machine, said by the model, or computed from text. */
export type Source = "measured" | "reported" | "estimated";

export interface Reading {
  readonly value: number;
  readonly source: Source;
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
  /** Used share, 0 to 1, of the five-hour or the seven-day limit, whichever is fuller. */
  | "rateLimit"
  /** When the window of a nearly used limit ends, epoch ms. */
  | "limitResetsAt"
  | "toolCalls"
  | "toolErrors"
  /** Recent tool latency against the session's usual one, 1 = as usual. */
  | "latencyTrend"
  /** Failed tries of model requests in a row. */
  | "apiErrors"
  | "transcriptBytes"
  | "oomKills"
  | "sessionAgeMs"
  | "sinceCheckpointMs";

/** Readings that make a risk, as a person says that they do. */
export const readingWords: Readonly<Partial<Record<ReadingName, string>>> = {
  contextTokens: "its context is long",
  contextFill: "its context is nearly full",
  clientMemoryBytes: "its client takes much memory",
  hostMemory: "the machine is short of memory",
  rateLimit: "a usage limit is near",
  toolCalls: "it has made many calls",
  toolErrors: "its calls fail",
  latencyTrend: "its calls take longer than usual",
  apiErrors: "its requests to the model fail",
  transcriptBytes: "its transcript is large",
  oomKills: "programs were ended for want of memory",
  sessionAgeMs: "it has run for long",
  sinceCheckpointMs: "it was not saved for long",
};

/** Stored as JSON. A missing name is unknown. */
export type Readings = Partial<Record<ReadingName, Reading>>;

export const riskLevels = ["safe", "warning", "danger", "critical"] as const;
export type RiskLevel = (typeof riskLevels)[number];

export interface RiskMark {
  readonly covered: RiskLevel;
  readonly pending: RiskLevel | null;
  /** Start of the time below the covered level, epoch ms; null: not below. */
  readonly belowAt: number | null;
}

export const crashCauses = ["closed", "killed", "out_of_memory", "context_full", "usage_limit", "unknown"] as const;
export type CrashCause = (typeof crashCauses)[number];
