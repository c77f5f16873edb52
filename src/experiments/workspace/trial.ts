import type { Finding } from "../../contract/machine/learning.ts";
import type { WorkspaceTrial, WorkspaceTrials, WorkspaceTrialState } from "../../contract/workspace-trials.ts";
import type { Settings } from "../../contract/workspaces.ts";
import { lowersSafety, nextValue, refusalOfStep } from "../parameters.ts";
import { findWorkspaceParameter } from "../queue/workspace-parameters.ts";

const dayMs = 86_400_000;
/** A value that was tried is not tried again so soon, whatever came of it. */
const pauseMs = 30 * dayMs;
/** One trial a day at most: more than the pause needs. */
const maxTrials = 40;
const maxNote = 400;

export function isRunning({ state }: Pick<WorkspaceTrial, "state">): boolean {
  return state === "proposed" || state === "deployed";
}

/** One at a time: two would change each other's outcomes. */
export function runningTrial({ trials }: WorkspaceTrials): WorkspaceTrial | null {
  return trials.find(isRunning) ?? null;
}

export interface TrialProposal extends Pick<WorkspaceTrial, "id" | "key" | "from" | "to" | "reason" | "seed"> {
  readonly at: number;
}

export function proposeTrial({ at, ...proposal }: TrialProposal): WorkspaceTrial {
  const nothing = { verdict: null, baseline: null, violation: null };
  return moveTrial({ ...proposal, ...nothing, state: "proposed", steps: [] }, "proposed", at, proposal.reason);
}

export function moveTrial(trial: WorkspaceTrial, state: WorkspaceTrialState, at: number, note: string): WorkspaceTrial {
  return { ...addStep(trial, state, at, note), state };
}

/** A step that leaves the state as it is. */
export function addStep(
  trial: WorkspaceTrial,
  state: WorkspaceTrial["steps"][number]["state"],
  at: number,
  note: string,
): WorkspaceTrial {
  return { ...trial, steps: [...trial.steps, { at, state, note: note.slice(0, maxNote) }] };
}

/** With this one in it, new or changed; the oldest are dropped. */
export function withTrial(all: WorkspaceTrials, trial: WorkspaceTrial): WorkspaceTrials {
  const isKnown = all.trials.some(({ id }) => id === trial.id);
  const trials = isKnown ? all.trials.map((one) => (one.id === trial.id ? trial : one)) : [trial, ...all.trials];
  return { ...all, trials: trials.slice(0, maxTrials) };
}

export interface TrialCandidate {
  readonly key: keyof Settings;
  readonly from: number;
  readonly to: number;
  /** Id of the finding. */
  readonly reason: string;
}

/** [EX91] The most certain finding whose step SHIM may take and has not taken for 30 days. */
export function nextCandidate(
  findings: readonly Finding[],
  settings: Settings,
  { trials }: WorkspaceTrials,
  now: number,
): TrialCandidate | null {
  const isRecent = ({ steps }: WorkspaceTrial): boolean => (steps.at(-1)?.at ?? 0) > now - pauseMs;
  const tried = new Set(trials.filter(isRecent).map(({ key, to }) => `${key}=${to}`));
  for (const { subject, direction, id: reason } of findings) {
    const parameter = findWorkspaceParameter(subject);
    if (!parameter || direction === null) continue;
    const from = Number(settings[parameter.key]);
    const to = nextValue(parameter, from, direction);
    if (to === null || lowersSafety(parameter, from, to) || tried.has(`${parameter.key}=${to}`)) continue;
    return { key: parameter.key, from, to, reason };
  }
  return null;
}

/** Any token that writes the state can store a trial: only such a value is set or brought back. */
export function isWithinBounds({ key, from, to }: Pick<WorkspaceTrial, "key" | "from" | "to">): boolean {
  const parameter = findWorkspaceParameter(key);
  return parameter !== null && refusalOfStep(parameter, from, to) === null;
}
