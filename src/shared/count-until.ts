/** Finds how many, in ascending order of their values, are at most the limit. */
export function countUntil<T>(ascending: readonly T[], limit: number, valueOf: (one: T) => number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (valueOf(ascending[middle] as T) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
