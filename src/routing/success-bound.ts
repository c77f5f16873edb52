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
