import { compare } from "../../shared/compare.ts";

/** Things of different weight in parts of about the same. Pure. */

export interface Item {
  /** Stands for the item; unique. */
  readonly key: string;
  /** Above 0. */
  readonly weight: number;
}

/** The largest part weighs at most so many times the smallest. */
const maxRatio = 2;

/**
 * [PL6] As many balanced parts as there can be, at most `mostParts`: neighbours by name stay together where that is balanced, else the heaviest
 * is placed first, each into the part that is lightest by then (LPT: Graham, "Bounds on Multiprocessing Timing Anomalies", 1969). Placed so into
 * two parts, they are balanced whenever no item weighs more than two thirds of all; where one does, no parts are, and it has a part for itself.
 * The same for any order of the items.
 *
 * @param items two or more
 * @param maxParts 2 or more
 * @returns two parts or more, none empty; items by name
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

/** Cut where equal shares end: an item belongs to the share in which its middle lies. A share may stay empty. */
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
