import * as z from "zod";

/**
 * Trials of settings of a workspace, under this key of its state. Each change of it has a condition
 * on its version. Fields are only added, and optional.
 */
export const trialsKey = "shim/kaizen";

/** `proposed` -> `deployed` -> `kept`; from each of them to one of the others. */
const states = ["proposed", "deployed", "kept", "decided", "stopped", "rolled_back"] as const;
export type WorkspaceTrialState = (typeof states)[number];

const Step = z.looseObject({
  /** Epoch ms, by the clock of the machine that made it. */
  at: z.number(),
  state: z.enum([...states, "simulated"]),
  /** Figures and reason, for a person. */
  note: z.string().max(500),
});

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

export const WorkspaceTrial = z.looseObject({
  id: z.string().regex(/^ws_[0-9a-f]{8}$/),
  key: z.string().max(60),
  from: z.number(),
  to: z.number(),
  /** Finding, or the words of the person, that led to it. */
  reason: z.string().max(500),
  /** Seed of the simulation: a repeat has the same result. */
  seed: z.number(),
  state: z.enum(states),
  verdict: z.enum(["better", "equivalent", "worse", "undecided"]).nullable(),
  baseline: Baseline.nullable(),
  /** Guardrail that took the value back, and the machine that found it. */
  violation: z.looseObject({ guardrail: z.string().max(60), machine: z.string().max(300) }).nullable(),
  steps: z.array(Step).min(1).max(20),
});
export type WorkspaceTrial = z.infer<typeof WorkspaceTrial>;

export const WorkspaceTrials = z.looseObject({
  /** Epoch ms of the kill switch; null: it is not on. */
  offSince: z.number().nullable(),
  /** Newest first. */
  trials: z.array(WorkspaceTrial).max(100),
});
export type WorkspaceTrials = z.infer<typeof WorkspaceTrials>;
