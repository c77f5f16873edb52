import * as z from "zod";

/**
 * `proposed` -> `canary` -> one of the others, which end it. `deployed`: its value is in
 * config.json.
 */
export const trialStates = ["proposed", "canary", "deployed", "decided", "stopped"] as const;
export type TrialState = (typeof trialStates)[number];

export type Verdict = "better" | "equivalent" | "worse" | "undecided";

/** A trial of a setting that is to begin. */
export const NewTrial = z.object({
  key: z.string(),
  to: z.number(),
  /** In words, for the report. */
  reason: z.string(),
  lessSafe: z.boolean().optional(),
  /** Figures of the replay that found it better, for a person; null: none was made. */
  better: z.string().nullable(),
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
  /** In words, for the report. */
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
