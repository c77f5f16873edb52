import * as z from "zod";

/**
 * `proposed` -> `canary` -> one of the others, which end it. `deployed`: its value is in
 * config.json.
 */
export const trialStates = ["proposed", "canary", "deployed", "decided", "stopped"] as const;
export type TrialState = (typeof trialStates)[number];

export const Verdict = z.enum(["better", "equivalent", "worse", "undecided"]);
export type Verdict = z.infer<typeof Verdict>;

/** A trial of a setting that is to begin. */
export const NewTrial = z.object({
  key: z.string(),
  to: z.number(),
  /** Id of the finding, or the words of the person. */
  reason: z.string(),
  lessSafe: z.boolean().optional(),
  /** Replay of the record, with figures for a person; null where a person tries the value. */
  replay: z.object({ verdict: Verdict, note: z.string() }).nullable(),
});
export type NewTrial = z.infer<typeof NewTrial>;

interface Step {
  /** Epoch ms. */
  readonly at: number;
  readonly state: TrialState | "replayed";
  /** Figures and reason, for a person. */
  readonly note: string;
}

/** Trial of a setting of one machine. Stored as JSON. */
export interface MachineTrial {
  readonly id: string;
  readonly key: string;
  readonly from: number;
  readonly to: number;
  /** Finding, or the words of the person, that led to it. */
  readonly reason: string;
  readonly state: TrialState;
  /** The replay's, the one measure of a benefit; null: none was made. */
  readonly verdict: Verdict | null;
  /** Oldest first. */
  readonly steps: readonly Step[];
  /** Splits sessions between the arms. */
  readonly salt: string;
  /** Share of the new sessions that are in its canary. */
  readonly share: number;
  /** Sessions that its guardrails have read. */
  readonly read: number;
  /** Guardrail that has stopped it. */
  readonly violated?: string;
  /** Service that assigns its sessions; absent: SHIM does. */
  readonly provider?: string;
  /** Sessions that the service has been sent. */
  readonly sent?: number;
}

/** Kinds of findings in SHIM's own records: the labels of a metric, so a closed set. */
export const opportunityPatterns = [
  "old_checkpoint_at_death",
  "context_full_unseen",
  "out_of_memory_unseen",
  "large_store",
  "offers_dismissed",
] as const;
export type OpportunityPattern = (typeof opportunityPatterns)[number];
