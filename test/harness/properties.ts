import * as fc from "fast-check";

type Drawn<Values extends unknown[]> = [...{ [Key in keyof Values]: fc.Arbitrary<Values[Key]> }];

/** So many drawn values pass the check, which throws or returns false for one that does not. */
export function forAll<V extends unknown[]>(runs: number, drawn: Drawn<V>, check: (...values: V) => boolean | void) {
  fc.assert(
    fc.property(fc.tuple<V>(...drawn), (values) => check(...values)),
    { numRuns: runs },
  );
}

export function forAllAsync<V extends unknown[]>(
  runs: number,
  drawn: Drawn<V>,
  check: (...values: V) => Promise<void>,
) {
  return fc.assert(
    fc.asyncProperty(fc.tuple<V>(...drawn), (values) => check(...values)),
    { numRuns: runs },
  );
}
