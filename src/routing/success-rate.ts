/** One-sided, 90 %. */
const z = 1.281_551_565_5;

/** Wilson's lower bound of a rate of success; 0 without a try. */
export function lowerBound(succeeded: number, tried: number): number {
  if (tried === 0) return 0;
  const rate = succeeded / tried;
  const shrink = z ** 2 / tried;
  const margin = z * Math.sqrt((rate * (1 - rate)) / tried + shrink / (4 * tried));
  return Math.max(0, (rate + shrink / 2 - margin) / (1 + shrink));
}

/**
 * One draw from the Beta distribution of a rate of success, with one success and one failure as its
 * prior, by two Gamma variables.
 *
 * @param random gives 0 to 1, 1 excluded
 */
export function sampleRate(succeeded: number, tried: number, random: () => number): number {
  const successes = sampleGamma(1 + succeeded, random);
  return successes / (successes + sampleGamma(1 + tried - succeeded, random));
}

/** Marsaglia and Tsang, "A simple method for generating gamma variables" (2000). */
function sampleGamma(shape: number, random: () => number): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = sampleNormal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random()) < x ** 2 / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Box and Muller. */
function sampleNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
