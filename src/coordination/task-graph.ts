/** Graphs of the tasks of one submit: places are their indexes in it. Pure. */

/** Each place behind all that it needs; or those that need each other in a circle. */
export function sorted(needs: readonly (readonly number[])[]): { order: number[] } | { circle: number[] } {
  const dependents: number[][] = needs.map(() => []);
  const open = needs.map((of, at) => {
    for (const one of of) dependents[one]?.push(at);
    return of.length;
  });
  const order = [...needs.keys()].filter((at) => open[at] === 0);
  // Grows while it is walked through.
  for (const at of order) {
    for (const next of dependents[at] ?? []) {
      open[next] = (open[next] ?? 0) - 1;
      if (open[next] === 0) order.push(next);
    }
  }
  return order.length === needs.length ? { order } : { circle: circleIn(needs, open) };
}

/** From any place that is left one that is left is needed: so a walk comes back to where it was. */
function circleIn(needs: readonly (readonly number[])[], open: readonly number[]): number[] {
  const way: number[] = [];
  let at = open.findIndex((count) => count > 0);
  while (!way.includes(at)) {
    way.push(at);
    at = needs[at]?.find((one) => (open[one] ?? 0) > 0) ?? at;
  }
  return way.slice(way.indexOf(at));
}
