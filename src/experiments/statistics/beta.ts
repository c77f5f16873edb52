/**
 * The Beta distribution. Pure; the error of a probability is below 1e-8 for parameters up to a
 * million.
 */

const coefficients = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** Logarithm of the gamma function for `x` > 0, by the approximation of Lanczos (g = 7, n = 9). */
export function lnGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - lnGamma(1 - x);
  const shifted = x - 1;
  const sum = coefficients.reduce((total, one, index) => total + one / (shifted + index + 1), 0.99999999999980993);
  const t = shifted + 7.5;
  return Math.log(2 * Math.PI) / 2 + (shifted + 0.5) * Math.log(t) - t + Math.log(sum);
}

/**
 * Probability that a Beta(`alpha`, `beta`) variable is at most `x`: the regularized incomplete
 * beta function.
 *
 * @param alpha above 0
 * @param beta above 0
 */
export function betaProbability(x: number, alpha: number, beta: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const lnFront = lnGamma(alpha + beta) - lnGamma(alpha) - lnGamma(beta) + alpha * Math.log(x) + beta * Math.log1p(-x);
  const front = Math.exp(lnFront);
  if (x < (alpha + 1) / (alpha + beta + 2)) return (front * continuedFraction(x, alpha, beta)) / alpha;
  return 1 - (front * continuedFraction(1 - x, beta, alpha)) / beta;
}

/**
 * Continued fraction of the incomplete beta function by Lentz's method; needs about sqrt(alpha +
 * beta) terms.
 */
function continuedFraction(x: number, alpha: number, beta: number): number {
  const tiny = 1e-300;
  const atLeastTiny = (value: number): number => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / atLeastTiny(1 - ((alpha + beta) * x) / (alpha + 1));
  let value = d;
  for (let term = 1; term <= 100_000; term++) {
    const even = (term * (beta - term) * x) / ((alpha + 2 * term - 1) * (alpha + 2 * term));
    d = 1 / atLeastTiny(1 + even * d);
    c = atLeastTiny(1 + even / c);
    value *= d * c;
    const odd = (-(alpha + term) * (alpha + beta + term) * x) / ((alpha + 2 * term) * (alpha + 2 * term + 1));
    d = 1 / atLeastTiny(1 + odd * d);
    c = atLeastTiny(1 + odd / c);
    value *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return value;
}

/**
 * The value below which a Beta(`alpha`, `beta`) variable lies with the given probability, by
 * bisection.
 *
 * @param probability 0 to 1
 * @throws {RangeError} for a probability that is none, or parameters that are not above 0
 */
export function betaQuantile(probability: number, alpha: number, beta: number): number {
  requireParameters(probability, alpha, beta);
  if (probability === 0 || probability === 1) return probability;
  let low = 0;
  let high = 1;
  for (;;) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high || high - low < 1e-14 * middle) return middle;
    if (betaProbability(middle, alpha, beta) < probability) low = middle;
    else high = middle;
  }
}

function requireParameters(probability: number, alpha: number, beta: number): void {
  if (!(probability >= 0 && probability <= 1)) throw new RangeError(`${probability} is no probability.`);
  if (!(alpha > 0 && beta > 0 && Number.isFinite(alpha + beta))) {
    throw new RangeError(`Beta(${alpha}, ${beta}) needs two parameters above 0.`);
  }
}

/**
 * One draw from Beta(`alpha`, `beta`), by two Gamma variables: a hundred times as fast as
 * a quantile.
 *
 * @param alpha at least 1
 * @param beta at least 1
 * @param random gives 0 to 1, 1 excluded
 * @throws {RangeError} for a smaller parameter
 */
export function sampleBeta(alpha: number, beta: number, random: () => number): number {
  if (!(Math.min(alpha, beta) >= 1)) throw new RangeError(`Beta(${alpha}, ${beta}) is drawn for parameters from 1.`);
  const a = sampleGamma(alpha, random);
  return a / (a + sampleGamma(beta, random));
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
