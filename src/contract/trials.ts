import * as z from "zod";

/** Key of a workspace's state that has its trials. Each change has a condition on its version. */
export const trialsKey = "shim/kaizen";

/**
 * `proposed` -> `canary` -> `deployed` -> `kept`; from each of them to one of the others. A value
 * of a workspace holds for all chats, so it has no canary; one of a machine begins with it.
 */
export const trialStates = ["proposed", "canary", "deployed", "kept", "decided", "stopped", "rolled_back"] as const;
export type TrialState = (typeof trialStates)[number];

export const Verdict = z.enum(["better", "equivalent", "worse", "undecided"]);

const Step = z.looseObject({
  /** Epoch ms, by the clock of the machine that made it. */
  at: z.number(),
  state: z.enum([...trialStates, "replayed", "simulated"]),
  /** Figures and reason, for a person. */
  note: z.string().max(500),
});

const trial = {
  key: z.string().max(200),
  from: z.number(),
  to: z.number(),
  /** Finding, or the words of the person, that led to it. */
  reason: z.string().max(500),
  state: z.enum(trialStates),
  verdict: Verdict.nullable(),
  steps: z.array(Step).min(1).max(20),
};

/** A trial of a setting of a machine that is to begin. */
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

/** Trial of a setting of one machine. Stored as JSON, by this machine alone. */
export interface MachineTrial extends z.infer<z.ZodObject<typeof trial>> {
  readonly id: string;
  /** False: `from` was the default, and the file had no value. */
  readonly isSet: boolean;
  /** Splits sessions between the arms. */
  readonly salt: string;
  /** Share of the new sessions that are in its canary. */
  readonly share: number;
  /** Sessions of the present state that its guardrails have read. */
  readonly read: number;
  /** Guardrail that has stopped it. */
  readonly violated?: string;
  /** Service that assigns its sessions; absent: SHIM does. */
  readonly provider?: string;
  /** Sessions that the service has been sent. */
  readonly sent?: number;
}

/** Totals of the workspace when the value was deployed. */
const Baseline = z.looseObject({
  /** Counters of tasks that ended done or dead, and of attempts. */
  ended: z.number(),
  dead: z.number(),
  attempts: z.number(),
  /** Attempts that ended in a timeout or a stall. */
  overdue: z.number(),
  /** Chats that went offline by silence, and the time in which they did, in ms. */
  silent: z.number(),
  silentMs: z.number(),
});
export type Baseline = z.infer<typeof Baseline>;

/** Stored under {@link trialsKey}. Fields are only added, and optional. */
export const WorkspaceTrial = z.looseObject({
  ...trial,
  id: z.string().regex(/^ws_[0-9a-f]{8}$/),
  baseline: Baseline.nullable(),
  /** Guardrail that took the value back, and the machine that found it. */
  violation: z.looseObject({ guardrail: z.string().max(60), machine: z.string().max(300) }).nullable(),
});
export type WorkspaceTrial = z.infer<typeof WorkspaceTrial>;

export const WorkspaceTrials = z.looseObject({
  /** Epoch ms of the kill switch; null: it is not on. */
  offSince: z.number().nullable(),
  /** Newest first. */
  trials: z.array(WorkspaceTrial).max(100),
});
export type WorkspaceTrials = z.infer<typeof WorkspaceTrials>;

export type Trial = MachineTrial | WorkspaceTrial;
