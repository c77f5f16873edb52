/** Graphs of the tasks of one submit: places are their indexes in it. Pure. */

/** Each place behind all that it needs; or those that need each other in a circle. */
export function sortTopologically(needs: readonly (readonly number[])[]): { order: number[] } | { circle: number[] } {
  const dependents: number[][] = needs.map(() => []);
  const openCounts = needs.map((dependencies, at) => {
    for (const one of dependencies) dependents[one]?.push(at);
    return dependencies.length;
  });
  const order = [...needs.keys()].filter((at) => openCounts[at] === 0);
  // Grows while it is walked through.
  for (const at of order) {
    for (const next of dependents[at] ?? []) {
      openCounts[next] = (openCounts[next] ?? 0) - 1;
      if (openCounts[next] === 0) order.push(next);
    }
  }
  return order.length === needs.length ? { order } : { circle: findCycle(needs, openCounts) };
}

/** From any place that is left one that is left is needed: so a walk comes back to where it was. */
function findCycle(needs: readonly (readonly number[])[], openCounts: readonly number[]): number[] {
  const path: number[] = [];
  let at = openCounts.findIndex((count) => count > 0);
  while (!path.includes(at)) {
    path.push(at);
    at = needs[at]?.find((one) => (openCounts[one] ?? 0) > 0) ?? at;
  }
  return path.slice(path.indexOf(at));
}
