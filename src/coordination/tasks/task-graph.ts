export function sortTopologically(needs: readonly (readonly number[])[]): { order: number[] } | { circle: number[] } {
  const dependents: number[][] = needs.map(() => []);
  const openCounts = needs.map((dependencies, at) => {
    for (const one of dependencies) dependents[one]?.push(at);
    return dependencies.length;
  });
  const order = [...needs.keys()].filter((at) => openCounts[at] === 0);
  // Grows during the loop.
  for (const at of order) {
    for (const next of dependents[at] ?? []) {
      openCounts[next] = (openCounts[next] ?? 0) - 1;
      if (openCounts[next] === 0) order.push(next);
    }
  }
  return order.length === needs.length ? { order } : { circle: findCycle(needs, openCounts) };
}

/** Every remaining index needs a remaining one, so a walk returns to itself. */
function findCycle(needs: readonly (readonly number[])[], openCounts: readonly number[]): number[] {
  const path: number[] = [];
  let at = openCounts.findIndex((count) => count > 0);
  while (!path.includes(at)) {
    path.push(at);
    at = needs[at]?.find((one) => (openCounts[one] ?? 0) > 0) ?? at;
  }
  return path.slice(path.indexOf(at));
}
