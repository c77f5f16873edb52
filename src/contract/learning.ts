import * as z from "zod";

/**
 * `proposed` -> `canary` -> one of the others, which end it. `deployed`: its value is in
 * config.json.
 */
export const trialStates = ["proposed", "canary", "deployed", "decided", "stopped"] as const;
export type TrialState = (typeof trialStates)[number];

const verdicts = ["better", "equivalent", "worse", "undecided"] as const;
export type Verdict = (typeof verdicts)[number];

const count = z.int().min(0);

/** Recorded sessions replayed under two values of a setting. */
export const Replayed = z.object({
  verdict: z.enum(verdicts),
  /** Mean of the tool calls that a death loses elsewhere, new minus present; null: no session. */
  difference: z.number().nullable(),
  n: count,
  /** Sessions that get other checkpoints. */
  changed: count,
  /** Sessions that a verdict takes, four times of five. */
  needed: count,
  /** Checkpoints of them all. */
  saves: z.object({ before: count, after: count }),
});
export type Replayed = Readonly<z.infer<typeof Replayed>>;

/** A trial of a setting that is to begin. */
export const NewTrial = z.strictObject({
  key: z.string(),
  to: z.number(),
  /** In words, for the report. */
  reason: z.string(),
  replayed: Replayed,
  /** False: a review starts it. */
  isByPerson: z.boolean(),
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
  /** The replay's: it is what measures a benefit. */
  readonly verdict: Verdict;
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
}
