/** The effect of an arm against control as a confidence sequence, and what it says. Pure. */
import {
  type Interval,
  intervalOf,
  meanOf,
  observe,
  type SequencePlan,
  type SequenceState,
  startSequence,
} from "./betting.ts";

/** Fixed before the start. */
export interface EffectPlan {
  readonly goal: "higher" | "lower";
  /** Effects of at most this size make no difference that matters. */
  readonly margin: number;
  /** Observations after which an experiment without a verdict ends. */
  readonly units: number;
  readonly sequence: SequencePlan;
}

/** Each unit gets the arm with a known probability, else control. */
export interface Randomization extends Pick<EffectPlan, "units" | "sequence"> {
  /**
   * Bounds of an outcome; one beyond them counts as the bound: the effect is that on clipped
   * outcomes.
   */
  readonly bounds: Interval;
  readonly probability: number;
  /** The outcome that is expected without the arm. */
  readonly expected: number;
}

export interface RandomizedPlan extends EffectPlan, Randomization {}

/** Stored as JSON. */
export interface RandomizedState {
  readonly sequence: SequenceState;
  /** Sum of the outcomes, clipped. */
  readonly outcomes: number;
}

/**
 * Units come in the order of their assignment: an order that depends on the outcome would bias
 * every reading.
 */
export interface UnitOutcome {
  readonly isTreated: boolean;
  readonly outcome: number;
}

export type Verdict = "better" | "equivalent" | "worse" | "undecided";

export interface Judgement {
  readonly verdict: Verdict;
  /** Arm minus control. */
  readonly effect: number | null;
  readonly interval: Interval;
  readonly n: number;
  /** Nothing more is observed: there is a verdict, or the planned units are used up. */
  readonly isOver: boolean;
}

export function startRandomized({ sequence }: Randomization): RandomizedState {
  return { sequence: startSequence(sequence), outcomes: 0 };
}

/**
 * The state after one more unit. Its score is (1 / p or -1 / (1 - p)) times (outcome - baseline),
 * where the baseline is the mean of earlier outcomes: its expectation is the effect whatever the
 * baseline is, and whether or not outcomes drift.
 *
 * @throws {RangeError} for an outcome that is NaN
 */
export function observeUnit(
  plan: Randomization,
  { sequence, outcomes }: RandomizedState,
  { isTreated, outcome }: UnitOutcome,
): RandomizedState {
  const clipped = Math.min(Math.max(outcome, plan.bounds.low), plan.bounds.high);
  const baseline = (plan.expected + outcomes) / (1 + sequence.n);
  const weight = isTreated ? 1 / plan.probability : -1 / (1 - plan.probability);
  return {
    sequence: observe(plan.sequence, sequence, weight * (clipped - baseline)),
    outcomes: outcomes + clipped,
  };
}

export function judge(plan: EffectPlan, state: SequenceState): Judgement {
  const interval = intervalOf(plan.sequence, state);
  const verdict = verdictOf(plan, interval);
  return {
    verdict,
    effect: meanOf(plan.sequence, state),
    interval,
    n: state.n,
    isOver: verdict !== "undecided" || state.n >= plan.units,
  };
}

/**
 * Better or worse only where the interval excludes 0, equivalent only where it lies within the
 * margin; where both hold, equivalent: there is a difference, and it is too small to matter.
 */
export function verdictOf({ margin, goal }: Pick<EffectPlan, "margin" | "goal">, { low, high }: Interval): Verdict {
  if (low > high) return "undecided";
  if (low >= -margin && high <= margin) return "equivalent";
  if (low >= 0) return goal === "higher" ? "better" : "worse";
  if (high <= 0) return goal === "higher" ? "worse" : "better";
  return "undecided";
}
