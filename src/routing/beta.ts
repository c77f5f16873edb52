/**
 * A number from the distribution Beta(alpha, beta), both at least 1.
 *
 * @param random uniform from 0 to 1
 */
export function sampleBeta(alpha: number, beta: number, random: () => number): number {
  const a = sampleGamma(alpha, random);
  const b = sampleGamma(beta, random);
  return a / (a + b);
}

/** Marsaglia and Tsang 2000, for a shape of at least 1. */
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
