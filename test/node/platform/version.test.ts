import * as fc from "fast-check";
import { expect, it } from "vitest";
import { isNewer, type ProgramVersion } from "#src/platform/version.ts";

const version = fc.oneof(
  fc.tuple(fc.nat(12), fc.nat(12), fc.nat(2)).map((numbers) => numbers.join(".")),
  fc.constantFrom("1.0.0-rc.1", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0-alpha", "1.0.0-1", "1.0.0", "1.0.0+linux"),
  fc.stringMatching(/^[0-9a-c.+-]{0,8}$/),
  fc.string(),
);
const program: fc.Arbitrary<ProgramVersion> = fc.record({ version, builtAt: fc.nat(2) });

it("newer is a strict order: no program is newer than itself, of two at most one is, and it is transitive", () => {
  fc.assert(
    fc.property(program, program, program, (a, b, c) => {
      expect(isNewer(a, { ...a })).toBe(false);
      expect(isNewer(a, b) && isNewer(b, a)).toBe(false);
      if (isNewer(a, b) && isNewer(b, c)) expect(isNewer(a, c)).toBe(true);
      // What neither order tells apart is one rung, so that a chain of programs ends at one host.
      if (!isNewer(a, b) && !isNewer(b, a)) expect(isNewer(a, c)).toBe(isNewer(b, c));
    }),
    { numRuns: 5_000 },
  );
});

it("versions come in the order of Semantic Versioning, and a later build of an older version is older", () => {
  // The order of its section 11, and numbers that a comparison of texts gets wrong.
  const rising = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"];
  const ordered = [...rising, "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0"];
  for (const [index, older] of ordered.entries())
    for (const newer of ordered.slice(index + 1)) {
      const [one, other] = [
        { version: newer, builtAt: 1 },
        { version: older, builtAt: 2 },
      ];
      expect([isNewer(one, other), isNewer(other, one)], `${newer} ${older}`).toEqual([true, false]);
    }
  expect(isNewer({ version: "1.0.0", builtAt: 2 }, { version: "1.0.0", builtAt: 1 })).toBe(true);
  expect(isNewer({ version: "1.0.0+b", builtAt: 1 }, { version: "1.0.0+a", builtAt: 1 })).toBe(false);
});
