import type { experimentStates } from "../../contract/experiment-metrics.ts";
import type { Interval } from "../statistics/betting.ts";
import type { Verdict } from "../statistics/effect.ts";
import type { CanaryPlan, CanaryState } from "./canary.ts";

/**
 * `proposed` -> `replayed` -> `canary` -> `deploying` -> `deployed` -> `kept`; from each of them to
 * `decided` (no better), `stopped`, or back through `rolling_back` to `rolled_back`. The two states
 * in -ing hold while a file is written: any process may complete them.
 */
export type ExperimentState = (typeof experimentStates)[number];

export interface Step {
  readonly at: number;
  readonly state: ExperimentState;
  /** Figures and reason, for a person. */
  readonly note: string;
}

export interface ReplayEvidence {
  readonly sessions: number;
  readonly verdict: Verdict;
  readonly effect: number | null;
  readonly interval: Interval;
}

/** Stored as JSON. Add fields as optional. */
export interface Experiment {
  readonly id: string;
  readonly key: string;
  readonly from: number;
  readonly to: number;
  /** False: `from` was the default, and the file had no value. */
  readonly isSet: boolean;
  /** Finding, or the words of the person, that led to it. */
  readonly reason: string;
  /** Splits sessions between the arms. */
  readonly salt: string;
  readonly state: ExperimentState;
  readonly verdict: Verdict | null;
  readonly replay: ReplayEvidence | null;
  readonly plan: CanaryPlan | null;
  readonly canary: CanaryState | null;
  /** All sessions since the deployment. */
  readonly watch: { readonly plan: CanaryPlan; readonly state: CanaryState } | null;
  readonly steps: readonly Step[];
  /** Service that assigns its sessions; absent: SHIM does. */
  readonly provider?: string;
  /** Counted sessions that the service has been sent. */
  readonly sent?: number;
}

const ended: ReadonlySet<ExperimentState> = new Set(["kept", "decided", "stopped", "rolled_back"]);

export function isRunning({ state }: Pick<Experiment, "state">): boolean {
  return !ended.has(state);
}

/** Values in force beside the configuration; null: none. */
export function trialOf({ state, from, to }: Experiment): { scope: "treatment" | "all"; value: number } | null {
  if (state === "canary") return { scope: "treatment", value: to };
  if (state === "deploying") return { scope: "all", value: to };
  return state === "rolling_back" ? { scope: "all", value: from } : null;
}

export interface Proposal extends Pick<
  Experiment,
  "id" | "key" | "from" | "to" | "isSet" | "reason" | "salt" | "provider"
> {
  readonly at: number;
}

export function propose({ at, ...proposal }: Proposal): Experiment {
  const nothing = { verdict: null, replay: null, plan: null, canary: null, watch: null };
  return move({ ...proposal, ...nothing, state: "proposed", steps: [] }, "proposed", at, proposal.reason);
}

export function move(experiment: Experiment, state: ExperimentState, at: number, note: string): Experiment {
  return { ...experiment, state, steps: [...experiment.steps, { at, state, note }] };
}

/** [EX54] Ends it from any state; what is deployed is taken back first. */
export function stop(experiment: Experiment, at: number, note: string): Experiment {
  if (!isRunning(experiment)) return experiment;
  const isInForce = experiment.state === "deploying" || experiment.state === "deployed";
  if (isInForce) return move(experiment, "rolling_back", at, note);
  return experiment.state === "rolling_back" ? experiment : move(experiment, "stopped", at, note);
}

/** [EX54] Takes a kept value back, too. */
export function revert(experiment: Experiment, at: number, note: string): Experiment {
  return experiment.state === "kept" ? move(experiment, "rolling_back", at, note) : stop(experiment, at, note);
}

/** [EX44] Only a value that loses less in replay is tried. */
export function withReplay(experiment: Experiment, at: number, evidence: ReplayEvidence, note: string): Experiment {
  const replayed = { ...experiment, replay: evidence };
  if (evidence.verdict === "better") return move(replayed, "replayed", at, note);
  return move({ ...replayed, verdict: evidence.verdict }, "decided", at, note);
}

export function startCanary(experiment: Experiment, at: number, plan: CanaryPlan, canary: CanaryState): Experiment {
  const note = `${Math.round(plan.share * 100)} % of new sessions, at most ${plan.units} of them and ${plan.maxDays} days`;
  return move({ ...experiment, plan, canary }, "canary", at, note);
}
