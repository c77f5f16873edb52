/** The life of a trial, and what ends it: its guardrails, or its plan. Pure. */
import type { Failure } from "../../contract/errors.ts";
import { median } from "simple-statistics";
import type { ExperimentView } from "../../contract/machine/learning.ts";
import type { MachineTrial, Replayed } from "../../contract/learning.ts";
import { pluralize } from "../../shared/format.ts";
import { headsAtLeast, moreOften, type Counted } from "./exact-tests.ts";
import { findParameter, refusalOfStep, type Parameter } from "./parameters.ts";

const dayMs = 86_400_000;
/** A value that was tried is not tried again so soon, whatever came of it. */
const pauseMs = 30 * dayMs;
const maxNote = 400;

export function isRunning({ state }: Pick<MachineTrial, "state">): boolean {
  return state === "proposed" || state === "canary";
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

/** Why a value may not be tried now; null: it may. */
export function refusalOf(
  parameter: Parameter,
  { from, to }: { readonly from: number; readonly to: number },
  trials: readonly MachineTrial[],
): Failure | null {
  const refusal = refusalOfStep(parameter, from, to);
  if (refusal !== null) return { code: "bad_input", message: refusal };
  // Two of a group would change each other's outcomes.
  const busy = trials.find((one) => isRunning(one) && findParameter(one.key)?.group === parameter.group);
  return busy ? { code: "busy", message: `${busy.id} runs on a setting of the same group. Stop it first.` } : null;
}

/** Figures of a replay, for a person. */
export function replayText({ verdict, difference, n, saves }: Replayed): string {
  const found = verdict === "equivalent" ? "no difference that matters" : verdict;
  const signed = `${(difference ?? 0) > 0 ? "+" : ""}${(difference ?? 0).toFixed(2)}`;
  return `${found} in ${n} recorded chats: ${signed} tool calls lost elsewhere at a death, ${saves.after} checkpoints instead of ${saves.before}`;
}

/** So many of the newest chats are replayed. */
export const maxReplayed = 500;

/**
 * Why the recorded chats give no answer, and when they would, if ever; null: they do.
 *
 * @param pace chats in the days of a canary
 * @param kept chats that retention leaves; null: it has deleted none yet
 */
export function unansweredBy(
  { verdict, n, changed, needed }: Replayed,
  { key, to }: { readonly key: string; readonly to: number },
  pace: number,
  kept: number | null,
): Failure | null {
  if (n >= needed && changed === 0) {
    const message = `${key} = ${to} would have changed nothing in any of ${n} recorded chats, so no trial can show a benefit.`;
    return { code: "cannot_act", message };
  }
  if (verdict !== "undecided") return null;
  const wanted = Math.max(needed, n + 1);
  const outlook =
    wanted > maxReplayed
      ? `more than the ${maxReplayed} that are compared at most`
      : kept !== null && wanted > kept
        ? `more than the ${kept} that are kept here at your pace (\`retention.maxAgeMs\`)`
        : `and there are ${n}: ${paceText(wanted - n, pace)}`;
  const message = `nothing was started: an answer needs about ${wanted} recorded chats, ${outlook}.\n\`shim config set ${key} ${to}\` sets it without a trial.`;
  return { code: "cannot_end", message };
}

/** @param pace chats in the days of a canary */
function paceText(chats: number, pace: number): string {
  if (pace === 0) return "no chat began here lately";
  const weeks = Math.ceil((chats / pace) * (canary.maxDays / 7));
  return `at your pace ${pluralize(weeks, "week")} more`;
}

/** The step that follows from the replay. @param pace chats in the days of a canary */
export function firstStep(trial: MachineTrial, replayed: Replayed, pace: number, at: number): MachineTrial {
  if (replayed.verdict !== "better") {
    const note = `${replayText(replayed)}; no benefit was measured, so config.json stays as it is`;
    return move(trial, "decided", at, note);
  }
  const needed = Math.ceil(canary.sessions / canary.share);
  if (pace < needed) {
    const why = `a watch for harm takes ${needed} new chats in ${canary.maxDays} days, and ${pace} began here, so replay alone decides`;
    return move(trial, "deployed", at, `${replayText(replayed)}; ${why}`);
  }
  const names = ["sampleRatio", ...Object.keys(guardrails)].join(", ");
  const note = `harm is watched for in ${needed} new chats, ${paceText(needed, pace)}; ${Math.round((canary.share / 2) * 100)} % of them get the value; guardrails: ${names}`;
  return move(trial, "canary", at, note);
}

/** Whether the value was tried in the last 30 days: that trial has an answer. */
export function wasTried(
  { key, to }: Pick<MachineTrial, "key" | "to">,
  trials: readonly MachineTrial[],
  now: number,
): boolean {
  return trials.some((one) => one.key === key && one.to === to && (one.steps.at(-1)?.at ?? 0) > now - pauseMs);
}

/** @param sessions of its canary, by arm */
export function viewOf(trial: MachineTrial, sessions: ExperimentView["sessions"]): ExperimentView {
  const { id, key, from, to, reason, state, verdict, steps } = trial;
  const consequence = `Every chat has ${key} = ${from} again at once. What was counted until now is kept.`;
  return {
    id,
    key,
    from,
    to,
    reason,
    state: state === "decided" ? `decided: ${verdict}` : wordsOf(state),
    steps: steps.map(({ at, state: stepState, note }) => ({ at, state: wordsOf(stepState), note })),
    isRunning: isRunning(trial),
    sessions,
    ending: isRunning(trial) ? { consequence } : null,
  };
}

export function wordsOf(state: string): string {
  return state.replace("_", " ");
}

/**
 * A trial is read at most eight times by up to six guardrails, which together stop a value without
 * harm in at most 3 % of trials.
 */
const alpha = 0.0005;
/** The one reading of the shares of the arms when a canary ends finds smaller deviations. */
const alphaOfSharesAtEnd = 0.01;
/** Figures of a session, and what is worse. */
export const guardrails = {
  /** 1: it died with tool calls that no checkpoint held. */
  unsavedDeath: "higher",
  /** Score of its brief after a death, 0 to 1. */
  restoreScore: "lower",
  /** Share of its saves above 0.1 s. */
  slowSaves: "higher",
  /** Share of its recoveries above 0.5 s. */
  slowRecoveries: "higher",
  /** Share of its failed tool calls. */
  toolErrors: "higher",
  dollars: "higher",
} as const;
type Guardrail = keyof typeof guardrails;

/** Figures of one session. A missing one has no meaning for it, or could not be measured. */
export type Measured = Partial<Record<Guardrail, number>>;

export interface CanaryUnit {
  readonly isTreated: boolean;
  readonly measured: Measured;
}

/** Mood's median test: whether more of them are worse than the median of both together. */
function findHarm(usual: readonly CanaryUnit[], since: readonly CanaryUnit[]): Guardrail | null {
  const found = Object.entries(guardrails).find(([name, worse]) => {
    const read = ({ measured }: CanaryUnit): number[] => {
      const value = measured[name as Guardrail];
      return value === undefined ? [] : [worse === "higher" ? value : -value];
    };
    const [before, after] = [usual.flatMap(read), since.flatMap(read)];
    if (after.length === 0) return false;
    const all = [...before, ...after];
    const middle = median(all);
    // Many may be equal to the median: they count with the side that is nearer to one half.
    const sides = all.filter((value) => value > middle).length + all.filter((value) => value >= middle).length;
    const isHit = (value: number): boolean => (sides < all.length ? value >= middle : value > middle);
    const count = (values: readonly number[]): Counted => ({ n: values.length, hits: values.filter(isHit).length });
    return moreOften(count(before), count(after)) <= alpha;
  });
  return found ? (found[0] as Guardrail) : null;
}

/** Canary of each trial: it shows gross harm alone. A benefit is what replay has measured. */
export const canary = {
  /** Share of the new sessions; half of them get the new value. */
  share: 0.5,
  sessions: 200,
  maxDays: 28,
} as const;

/** Sessions at the next reading: the tenth, and whenever they have doubled. */
export function nextReading(read: number): number {
  return Math.max(10, 2 * read);
}

export type CanaryVerdict = "running" | "harmless" | "undecided" | { readonly violated: string };

/** @param units in the order of assignment */
export function judgeCanary(units: readonly CanaryUnit[], days: number): CanaryVerdict {
  const isWhole = units.length >= canary.sessions;
  const isOver = isWhole || days >= canary.maxDays;
  const treated = units.filter(({ isTreated }) => isTreated);
  const control = units.filter(({ isTreated }) => !isTreated);
  const largest = Math.max(treated.length, control.length);
  if (2 * headsAtLeast(largest, units.length) <= (isOver ? alphaOfSharesAtEnd : alpha))
    return { violated: "sampleRatio" };
  const violated = findHarm(control, treated);
  if (violated !== null) return { violated };
  // Too few sessions have shown no harm: that is no proof of none.
  if (isOver) return isWhole ? "harmless" : "undecided";
  return "running";
}
