/**
 * Confidence sequences for the mean of bounded observations by betting. Pure.
 *
 * Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (2020, arXiv
 * 2010.09686): hedged capital with the predictable plug-in bets of their theorem 3. Against each
 * mean of a grid two players bet, one that the mean is above it, one that it is below. Were it the
 * mean, the capital of a player would reach 2 / alpha with a probability of alpha / 2 at most,
 * however often it is read (Ville's inequality).
 */

/** Fixed before the first observation, and the same for as long as its state is continued. */
export interface SequencePlan {
  /** Bounds of an observation; one beyond them counts as the bound. */
  readonly low: number;
  readonly high: number;
  /** Probability, at most, that the interval ever misses the mean. */
  readonly alpha: number;
  /** One-sided sequences spend the whole alpha on one end of the interval. */
  readonly sides: "both" | "above" | "below";
  /** Possible means, ascending, between the bounds; the ends of the interval are of these. */
  readonly grid: readonly number[];
  /** Observations for which the bets are best; null: none, and bets shrink with sqrt(t ln t). */
  readonly horizon: number | null;
  /** Expected observations, weighing as that many. They change how soon, not how often wrongly. */
  readonly prior: { readonly mean: number; readonly variance: number; readonly weight: number };
}

/** Stored as JSON. Its size depends on the size of the grid only. */
export interface SequenceState {
  readonly n: number;
  /** Sums of the observations and of their squared deviations, in units of the range. */
  readonly sum: number;
  readonly squares: number;
  /**
   * Capital of the bets that the mean is above, and below, each one of the grid; kept as it was
   * once it has sufficed.
   */
  readonly above: readonly number[];
  readonly below: readonly number[];
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Largest share of the capital that one observation can cost; the paper uses 1/2 and 3/4. Where the
 * bounds are much wider than the outcomes, 3/4 needs up to a quarter fewer units.
 */
export const largestLoss = 3 / 4;

/** The prior of the paper for observations in [`low`, `high`]. */
export function vaguePrior({ low, high }: Interval): SequencePlan["prior"] {
  return { mean: (low + high) / 2, variance: (high - low) ** 2 / 4, weight: 1 };
}

/** @throws {RangeError} for a plan that is none */
export function startSequence(plan: SequencePlan): SequenceState {
  const why = whyNoPlan(plan);
  if (why !== null) throw new RangeError(why);
  const first = plan.grid.map(() => 1);
  return { n: 0, sum: 0, squares: 0, above: first, below: first };
}

function whyNoPlan({ low, high, alpha, grid, horizon, prior }: SequencePlan): string | null {
  if (!(low < high && Number.isFinite(high - low))) return `No range: ${low} to ${high}.`;
  if (!isBetween(alpha, Number.MIN_VALUE, 1 - Number.EPSILON)) return `Alpha is between 0 and 1, not ${alpha}.`;
  if (horizon !== null && !(horizon >= 1)) return `The horizon is at least 1, not ${horizon}.`;
  if (!(Math.min(prior.variance, prior.weight) > 0)) return "The prior's variance and weight are above 0.";
  const isAscending = grid.every((one, index) => one > (grid[index - 1] ?? -Infinity));
  const isWithin = grid.every((one) => isBetween(one, low, high));
  return isAscending && isWithin ? null : "The grid ascends between the bounds.";
}

function isBetween(value: number, low: number, high: number): boolean {
  return value >= low && value <= high;
}

/**
 * The state after one more observation.
 *
 * @throws {RangeError} for NaN
 */
export function observe(plan: SequencePlan, state: SequenceState, value: number): SequenceState {
  if (Number.isNaN(value)) throw new RangeError("An observation is a number.");
  const { low, high, sides, grid, prior } = plan;
  const toUnit = (one: number): number => (one - low) / (high - low);
  const x = toUnit(Math.min(Math.max(value, low), high));
  const bet = nextBet(plan, state);
  const enough = sufficientCapital(plan);
  const raise = (capital: number, largest: number, gain: number): number =>
    capital >= enough ? capital : capital * (1 + Math.min(bet, largest) * gain);
  const raiseAbove = (capital: number, index: number): number => {
    const m = toUnit(grid[index] ?? low);
    return raise(capital, largestLoss / m, x - m);
  };
  const raiseBelow = (capital: number, index: number): number => {
    const m = toUnit(grid[index] ?? low);
    return raise(capital, largestLoss / (1 - m), m - x);
  };
  const n = state.n + 1;
  const sum = state.sum + x;
  const mean = (prior.weight * toUnit(prior.mean) + sum) / (prior.weight + n);
  return {
    n,
    sum,
    squares: state.squares + (x - mean) ** 2,
    above: sides === "below" ? state.above : state.above.map(raiseAbove),
    below: sides === "above" ? state.below : state.below.map(raiseBelow),
  };
}

/** Known before the observation it is for, or the capital would be no martingale. */
function nextBet({ low, high, horizon, prior, ...plan }: SequencePlan, { n, squares }: SequenceState): number {
  const variance = ((prior.weight * prior.variance) / (high - low) ** 2 + squares) / (prior.weight + n);
  const t = n + 1;
  const observations = horizon === null ? t * Math.log(1 + t) : Math.max(horizon, t);
  return Math.sqrt((2 * Math.log(sufficientCapital(plan))) / (variance * observations));
}

function sufficientCapital({ alpha, sides }: Pick<SequencePlan, "alpha" | "sides">): number {
  return (sides === "both" ? 2 : 1) / alpha;
}

/**
 * Where the mean is: valid at every observation at once, and within every earlier interval. An
 * interval whose `low` is above its `high` shows that no one mean held all the time.
 */
export function intervalOf(plan: SequencePlan, { above, below }: SequenceState): Interval {
  const enough = sufficientCapital(plan);
  // A larger mean earns the one player less and the other more: the ends are excluded first.
  const lowest = above.findLastIndex((capital) => capital >= enough);
  const highest = below.findIndex((capital) => capital >= enough);
  return { low: plan.grid[lowest] ?? plan.low, high: plan.grid[highest] ?? plan.high };
}

/** Whether any mean of the grid is excluded. */
export function hasExcluded(plan: SequencePlan, { above, below }: SequenceState): boolean {
  const enough = sufficientCapital(plan);
  return [...above, ...below].some((capital) => capital >= enough);
}

/** Mean of the observations; null where there is none. */
export function meanOf({ low, high }: SequencePlan, { n, sum }: SequenceState): number | null {
  return n === 0 ? null : low + (sum / n) * (high - low);
}

/** `count` means at equal distances, the bounds included. */
export function evenGrid({ low, high }: Interval, count: number): number[] {
  return Array.from({ length: count }, (_, index) => low + ((high - low) * index) / (count - 1));
}
