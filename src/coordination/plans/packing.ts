import { compare } from "../../shared/compare.ts";

export interface Item {
  readonly key: string;
  readonly weight: number;
}

const maxRatio = 2;

/**
 * [PL23] Makes as many balanced parts as possible: neighbours by name where balanced, else the
 * heaviest first into the lightest part (LPT: Graham, "Bounds on Multiprocessing Timing Anomalies",
 * 1969). Two parts are balanced whenever no item exceeds two thirds of the weight; one that does
 * gets its own part.
 * @param items two or more
 * @param maxParts 2 or more
 * @returns two or more non-empty parts; items by name
 */
export function pack<T extends Item>(items: readonly T[], maxParts: number): T[][] {
  const byName = items.toSorted((a, b) => compare(a.key, b.key));
  for (let count = Math.min(maxParts, items.length); count > 2; count -= 1) {
    const parts = [packNeighbours(byName, count), packHeaviestFirst(byName, count)].find(isBalanced);
    if (parts) return parts;
  }
  const two = packNeighbours(byName, 2);
  return isBalanced(two) ? two : packHeaviestFirst(byName, 2);
}

function weightOf(items: readonly Item[]): number {
  return items.reduce((sum, { weight }) => sum + weight, 0);
}

function isBalanced(parts: readonly (readonly Item[])[]): boolean {
  const weights = parts.map(weightOf);
  return Math.max(...weights) <= maxRatio * Math.min(...weights);
}

/** Cuts at equal shares: the middle of an item decides its share. A share may stay empty. */
function packNeighbours<T extends Item>(items: readonly T[], count: number): T[][] {
  const all = weightOf(items);
  const parts = Array.from({ length: count }, (): T[] => []);
  let before = 0;
  for (const item of items) {
    const middle = before + item.weight / 2;
    parts[Math.floor((middle * count) / all)]?.push(item);
    before += item.weight;
  }
  return parts;
}

function packHeaviestFirst<T extends Item>(items: readonly T[], count: number): T[][] {
  const parts = Array.from({ length: count }, () => ({ weight: 0, items: [] as T[] }));
  for (const item of items.toSorted((a, b) => b.weight - a.weight || compare(a.key, b.key))) {
    const lightest = parts.reduce((best, part) => (part.weight < best.weight ? part : best));
    lightest.items.push(item);
    lightest.weight += item.weight;
  }
  return parts
    .map((part) => part.items.toSorted((a, b) => compare(a.key, b.key)))
    .toSorted((a, b) => compare(a[0]?.key ?? "", b[0]?.key ?? ""));
}
