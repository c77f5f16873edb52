/** The life of a trial, of a machine or of a workspace. Pure. */
import type { ExperimentView, Finding } from "../contract/machine/learning.ts";
import type { Trial } from "../contract/trials.ts";
import { canary, guardrails } from "./guardrails.ts";
import type { HostError } from "../shared/host-result.ts";
import { findParameter, lowersSafety, refusalOfStep, type Parameter } from "./parameters.ts";

/** A value that was tried is not tried again so soon, whatever came of it. */
const pauseMs = 30 * 86_400_000;
const maxNote = 400;

export function isRunning({ state }: Pick<Trial, "state">): boolean {
  return state === "proposed" || state === "canary" || state === "deployed";
}

/** Its value holds for all chats. */
export function isInForce({ state }: Pick<Trial, "state">): boolean {
  return state === "deployed" || state === "kept";
}

/** A kept value is only taken back by a revert. */
export function canEnd(trial: Trial, isRevert: boolean): boolean {
  return isRunning(trial) || (isRevert && trial.state === "kept");
}

export function move<T extends Trial>(trial: T, state: Trial["state"], at: number, note: string): T {
  return { ...addStep(trial, state, at, note), state };
}

/** A step that leaves the state as it is. */
export function addStep<T extends Trial>(
  trial: T,
  state: Trial["steps"][number]["state"],
  at: number,
  note: string,
): T {
  return { ...trial, steps: [...trial.steps, { at, state, note: note.slice(0, maxNote) }] };
}

/** Trials of a machine or a workspace. */
export interface Trials {
  /** Epoch ms of the kill switch; null: it is not on. */
  readonly offSince: number | null;
  readonly trials: readonly Trial[];
}

export interface WantedStep {
  readonly from: number;
  readonly to: number;
  /** A person allows that more may be lost. */
  readonly lessSafe?: boolean | undefined;
}

/** [EX50] [EX51] [EX56] Why a value may not be tried now; null: it may. */
export function refusalOf(
  parameter: Parameter,
  { from, to, lessSafe }: WantedStep,
  { offSince, trials }: Trials,
): HostError | null {
  const { key, scope, group } = parameter;
  const refusal = refusalOfStep(parameter, from, to);
  if (refusal !== null) return { code: "bad_input", message: refusal };
  const loss = scope === "machine" ? "a death may lose more than now" : "a dead chat may be noticed later than now";
  if (lessSafe !== true && lowersSafety(parameter, from, to))
    return { code: "less_safe", message: `with ${key} = ${to} ${loss}: add --less-safe to try it.` };
  const allow = "`shim learn experiments allow` lets them start again.";
  if (offSince !== null) return { code: "switched_off", message: `experiments are switched off. ${allow}` };
  // Two of a group would change each other's outcomes.
  const busy = trials.find((one) => isRunning(one) && findParameter(one.key)?.group === group);
  return busy ? { code: "busy", message: `${busy.id} runs on a setting of the same group. Stop it first.` } : null;
}

/** [EX54] Ends it from any state; what holds for all is taken back. */
export function end<T extends Trial>(trial: T, at: number, note: string): T {
  return move(trial, isInForce(trial) ? "rolled_back" : "stopped", at, note);
}

export interface Candidate {
  readonly parameter: Parameter;
  readonly from: number;
  readonly to: number;
  /** Id of the finding. */
  readonly reason: string;
}

/** [EX82] [EX91] Steps that SHIM may take and has not taken for 30 days, most certain first. */
export function candidates(
  findings: readonly Finding[],
  trials: readonly Trial[],
  scope: Parameter["scope"],
  now: number,
): Candidate[] {
  const recent = trials.filter(({ steps }) => (steps.at(-1)?.at ?? 0) > now - pauseMs);
  const tried = new Set(recent.map(({ key, to }) => `${key}=${to}`));
  return findings.flatMap(({ parameter: key, from, to, id: reason }) => {
    const parameter = key === null ? null : findParameter(key);
    if (parameter?.scope !== scope || parameter.method === "person" || from === null || to === null) return [];
    const isFree = !lowersSafety(parameter, from, to) && !tried.has(`${key}=${to}`);
    return isFree ? [{ parameter, from, to, reason }] : [];
  });
}

/** @param sessions of a machine's canary, by arm */
export function viewOf(trial: Trial, sessions: ExperimentView["sessions"]): ExperimentView {
  const { id, key, from, to, reason, state, verdict, steps } = trial;
  const isOfMachine = !id.startsWith("ws_");
  const shown = steps.map((step) => ({ at: step.at, state: wordsOf(step.state), note: step.note }));
  return {
    id,
    scope: isOfMachine ? "machine" : "workspace",
    key,
    from,
    to,
    reason,
    state: state === "decided" && verdict !== null ? `decided: ${verdict}` : wordsOf(state),
    steps: shown,
    isRunning: isRunning(trial),
    plan: isOfMachine && steps.some((step) => step.state === "canary") ? plan : null,
    sessions,
    ending: canEnd(trial, true) ? { isRevert: isInForce(trial), effect: effectOf(trial, isOfMachine) } : null,
  };
}

export function wordsOf(state: string): string {
  return state.replace("_", " ");
}

const plan = { ...canary, decidedBy: "replay", guardrails: ["sampleRatio", ...Object.keys(guardrails)] };

function effectOf(trial: Trial, isOfMachine: boolean): string {
  const { key, from } = trial;
  if (!isOfMachine) return `${key} of the workspace is ${from} again at once, unless it was changed since.`;
  return isInForce(trial)
    ? `config.json gets ${key} = ${from} again at once, unless you have changed it since.`
    : `Every chat has ${key} = ${from} again at once. What was counted until now is kept.`;
}
