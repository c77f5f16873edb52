import { range } from "../figures.ts";

/** Each project goes to the object that has the fewest chats: what a directory of projects can do. */
export function placeLargestFirst(sizes: readonly number[], objects: number): number[] {
  const loads = range(objects, () => 0);
  const placed: number[] = [];
  for (const [project, size] of [...sizes.entries()].toSorted(([, a], [, b]) => b - a)) {
    const least = loads.indexOf(Math.min(...loads));
    placed[project] = least;
    loads[least] = (loads[least] ?? 0) + size;
  }
  return placed;
}
