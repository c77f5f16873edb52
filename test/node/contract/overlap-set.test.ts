import * as fc from "fast-check";
import { expect, it } from "vitest";
import { OverlapSet } from "#src/contract/resource-paths.ts";
import { meet, resources } from "#harness/coordinator/lease-model.ts";

it("a set of resources overlaps what one of them overlaps", () => {
  const resource = fc.constantFrom(...resources, "x", "file:p");
  fc.assert(
    fc.property(fc.array(resource, { maxLength: 4 }), resource, (some, one) => {
      const set = new OverlapSet();
      for (const other of some) set.add(other);
      expect([some, one, set.overlaps(one)]).toEqual([some, one, some.some((other) => meet(other, one))]);
    }),
    { numRuns: 5_000 },
  );
});
