/** The life of a trial. Pure. */
import type { ExperimentView, Finding } from "../../contract/machine/learning.ts";
import type { MachineTrial } from "../../contract/trials.ts";
import type { OperationError } from "../../shared/operation-result.ts";
import { findParameter, lowersSafety, refusalOfStep, type Parameter } from "./parameters.ts";

/** A value that was tried is not tried again so soon, whatever came of it. */
const pauseMs = 30 * 86_400_000;
const maxNote = 400;

export function isRunning({ state }: Pick<MachineTrial, "state">): boolean {
  return state === "proposed" || state === "canary" || state === "deployed";
}

/** Its value holds for all chats. */
export function isInForce({ state }: Pick<MachineTrial, "state">): boolean {
  return state === "deployed" || state === "kept";
}

/** A kept value is only taken back by a revert. */
export function canEnd(trial: MachineTrial, isRevert: boolean): boolean {
  return isRunning(trial) || (isRevert && trial.state === "kept");
}

export function move(trial: MachineTrial, state: MachineTrial["state"], at: number, note: string): MachineTrial {
  return { ...addStep(trial, state, at, note), state };
}

/** A step that leaves the state as it is. */
export function addStep(
  trial: MachineTrial,
  state: MachineTrial["steps"][number]["state"],
  at: number,
  note: string,
): MachineTrial {
  return { ...trial, steps: [...trial.steps, { at, state, note: note.slice(0, maxNote) }] };
}

/** Ends it from any state; what holds for all is taken back. */
export function end(trial: MachineTrial, at: number, note: string): MachineTrial {
  return move(trial, isInForce(trial) ? "rolled_back" : "stopped", at, note);
}

export interface WantedStep {
  readonly from: number;
  readonly to: number;
  /** A person allows that more may be lost. */
  readonly lessSafe?: boolean | undefined;
}

/**
 * Why a value may not be tried now; null: it may.
 *
 * @param offSince epoch ms of the kill switch; null: it is not on
 */
export function refusalOf(
  parameter: Parameter,
  { from, to, lessSafe }: WantedStep,
  { offSince, trials }: { readonly offSince: number | null; readonly trials: readonly MachineTrial[] },
): OperationError | null {
  const { key, group } = parameter;
  const refusal = refusalOfStep(parameter, from, to);
  if (refusal !== null) return { code: "bad_input", message: refusal };
  const loss = `with ${key} = ${to} a death may lose more than now: add --less-safe to try it.`;
  if (lessSafe !== true && lowersSafety(parameter, from, to)) return { code: "less_safe", message: loss };
  const allow = "`shim experiment allow` lets them start again.";
  if (offSince !== null) return { code: "switched_off", message: `experiments are switched off. ${allow}` };
  // Two of a group would change each other's outcomes.
  const busy = trials.find((one) => isRunning(one) && findParameter(one.key)?.group === group);
  return busy ? { code: "busy", message: `${busy.id} runs on a setting of the same group. Stop it first.` } : null;
}

export interface Candidate {
  readonly key: string;
  readonly to: number;
  /** Id of the finding. */
  readonly reason: string;
}

/** Steps that SHIM may take and has not taken for 30 days, most certain first. */
export function candidates(findings: readonly Finding[], trials: readonly MachineTrial[], now: number): Candidate[] {
  const recent = trials.filter(({ steps }) => (steps.at(-1)?.at ?? 0) > now - pauseMs);
  const tried = new Set(recent.map(({ key, to }) => `${key}=${to}`));
  return findings.flatMap(({ parameter: key, from, to, id: reason }) => {
    const parameter = key === null ? null : findParameter(key);
    if (!parameter || from === null || to === null) return [];
    const isFree = !lowersSafety(parameter, from, to) && !tried.has(`${key}=${to}`);
    return isFree ? [{ key: parameter.key, to, reason }] : [];
  });
}

/** @param sessions of its canary, by arm */
export function viewOf(trial: MachineTrial, sessions: ExperimentView["sessions"]): ExperimentView {
  const { id, key, from, to, reason, state, verdict, steps } = trial;
  const consequence = isInForce(trial)
    ? `config.json gets ${key} = ${from} again at once, unless you have changed it since.`
    : `Every chat has ${key} = ${from} again at once. What was counted until now is kept.`;
  return {
    id,
    key,
    from,
    to,
    reason,
    state: state === "decided" && verdict !== null ? `decided: ${verdict}` : wordsOf(state),
    steps: steps.map(({ at, state: stepState, note }) => ({ at, state: wordsOf(stepState), note })),
    isRunning: isRunning(trial),
    sessions,
    ending: canEnd(trial, true) ? { isRevert: isInForce(trial), consequence } : null,
  };
}

export function wordsOf(state: string): string {
  return state.replace("_", " ");
}
