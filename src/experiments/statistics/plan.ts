/** Plans of experiments: bounds, bets, and the number of units after which one ends. Pure. */
import type { Interval, SequencePlan } from "./betting.ts";
import { type Distribution, meanOfDistribution, shifted, varianceOf } from "./distribution.ts";
import type { EffectPlan, Randomization, RandomizedPlan } from "./effect.ts";
import type { LimitGuardrail } from "./guardrail.ts";
import { expectedUnits, unitsFor } from "./power.ts";

interface Question {
  readonly margin: number;
  readonly goal: "higher" | "lower";
  /** Probability, at most, of a wrong verdict. */
  readonly alpha: number;
  /** Probability of finding the effect, and of finding equivalence where there is no effect. */
  readonly power: number;
}

export interface RandomizedQuestion extends Question {
  readonly bounds: Interval;
  /** Outcomes without the arm, and with the smallest effect that is to be found. */
  readonly control: Distribution;
  readonly treated: Distribution;
  readonly probability: number;
}

export interface Planned<Plan extends EffectPlan> {
  readonly plan: Plan;
  /**
   * Units until a verdict on the effect with the stated power; on average, since a verdict may
   * come at any unit.
   */
  readonly difference: { readonly units: number; readonly average: number };
  /** Units until "equivalent" with the stated power, where the effect is 0. */
  readonly equivalence: { readonly units: number };
}

/** @throws {RangeError} for an effect that ten million units do not find */
export function planRandomized(question: RandomizedQuestion): Planned<RandomizedPlan> {
  const { bounds, control, treated, probability } = question;
  if (!(probability > 0 && probability < 1)) throw new RangeError(`${probability} is no share of an arm.`);
  const expected = meanOfDistribution(control);
  const reach = (bounds.high - bounds.low) / Math.min(probability, 1 - probability);
  const under = (arm: Distribution): Distribution => scores(control, arm, probability);
  const planned = planEffect(question, reach, under(treated), under(control));
  return { ...planned, plan: { ...planned.plan, bounds, probability, expected } };
}

/** Scores of the units: the increments of the effect before the mean of a bet is subtracted. */
function scores(control: Distribution, treated: Distribution, share: number): Distribution {
  const baseline = share * meanOfDistribution(treated) + (1 - share) * meanOfDistribution(control);
  return [
    ...treated.map(({ value, probability }) => ({
      value: (value - baseline) / share,
      probability: probability * share,
    })),
    ...control.map(({ value, probability }) => ({
      value: (baseline - value) / (1 - share),
      probability: probability * (1 - share),
    })),
  ];
}

/** @param reach largest absolute value of an observation */
function planEffect(
  { goal, margin, alpha, power }: Question,
  reach: number,
  effect: Distribution,
  noEffect: Distribution,
): Planned<EffectPlan> {
  if (!(margin > 0 && margin < reach)) throw new RangeError(`A margin is above 0 and below ${reach}, not ${margin}.`);
  const side = alpha / 2;
  const isRise = meanOfDistribution(effect) > 0;
  const found = { values: isRise ? effect : mirrored(effect), worst: reach };
  const withinMargin = { values: shifted(noEffect, margin, { low: -Infinity, high: Infinity }), worst: reach + margin };
  const difference = required(unitsFor(power, side, found));
  // Both ends have to come within the margin.
  const equivalence = required(unitsFor((1 + power) / 2, side, withinMargin));
  const units = Math.max(difference, equivalence);
  const sequence: SequencePlan = {
    low: -reach,
    high: reach,
    alpha,
    sides: "both",
    grid: effectGrid(margin, reach),
    horizon: units,
    prior: { mean: 0, variance: varianceOf(noEffect), weight: priorWeight },
  };
  return {
    plan: { goal, margin, units, sequence },
    difference: { units: difference, average: expectedUnits(units, side, found) },
    equivalence: { units: equivalence },
  };
}

/** Units for which the planned variance counts. */
const priorWeight = 10;

/** Zero, parts and multiples of the margin, each a tenth further than the last, and the bounds. */
function effectGrid(margin: number, reach: number): number[] {
  const positive = [margin / 4, margin / 2, (margin * 3) / 4];
  for (let size = margin; size < reach; size *= 1.1) positive.push(size);
  positive.push(reach);
  return [...positive.map((one) => -one).toReversed(), 0, ...positive];
}

export interface LimitQuestion {
  readonly bounds: Interval;
  readonly limit: number;
  readonly worse: "higher" | "lower";
  /** Outcomes under the smallest harm that is to be stopped. */
  readonly harmed: Distribution;
  readonly alpha: number;
  readonly power: number;
}

/** @throws {RangeError} for a harm that ten million units do not show */
export function planLimit({ bounds, limit, worse, harmed, alpha, power }: LimitQuestion): LimitGuardrail {
  const fromLimit = shifted(harmed, -limit, { low: -Infinity, high: Infinity });
  const worst = worse === "higher" ? limit - bounds.low : bounds.high - limit;
  const values = worse === "higher" ? fromLimit : mirrored(fromLimit);
  const units = required(unitsFor(power, alpha, { values, worst }));
  const prior = { mean: limit, variance: varianceOf(harmed), weight: priorWeight };
  const sequence = { ...bounds, alpha, sides: sideOf(worse), grid: [limit], horizon: units, prior };
  return { limit, units, sequence };
}

export interface ControlQuestion extends Omit<LimitQuestion, "limit"> {
  readonly control: Distribution;
  readonly margin: number;
  readonly probability: number;
}

/**
 * A guardrail against control: worse by more than a margin. Its units are observed with
 * `observeUnit`.
 *
 * @throws {RangeError} for a harm that ten million units do not show
 */
export function planAgainstControl(question: ControlQuestion): Randomization {
  const { bounds, control, harmed, margin, worse, probability, alpha, power } = question;
  const reach = (bounds.high - bounds.low) / Math.min(probability, 1 - probability);
  const limit = worse === "higher" ? margin : -margin;
  const range = { low: -reach, high: reach };
  const difference = scores(control, harmed, probability);
  const { units, sequence } = planLimit({ bounds: range, limit, worse, harmed: difference, alpha, power });
  return { bounds, probability, expected: meanOfDistribution(control), units, sequence };
}

function sideOf(worse: "higher" | "lower"): "above" | "below" {
  return worse === "higher" ? "above" : "below";
}

function mirrored(distribution: Distribution): Distribution {
  return distribution.map(({ value, probability }) => ({ value: -value, probability }));
}

function required(units: number | null): number {
  if (units === null) throw new RangeError("Ten million units do not show that effect.");
  return units;
}
