/**
 * Few sets that together have all members: each time the one that adds most, of equal ones the
 * first.
 *
 * @returns indexes in ascending order; none that adds nothing
 */
export function greedyCover<Member>(sets: readonly ReadonlySet<Member>[]): number[] {
  const covered = new Set<Member>();
  const chosen: number[] = [];
  for (;;) {
    const gains = sets.map((set) => [...set].filter((member) => !covered.has(member)).length);
    const best = gains.indexOf(Math.max(0, ...gains));
    const set = sets[best];
    if (set === undefined || gains[best] === 0) return chosen.sort((a, b) => a - b);
    chosen.push(best);
    for (const member of set) covered.add(member);
  }
}
