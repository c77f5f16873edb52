import { expect, it } from "vitest";
import { readLaws, mutated } from "../../../scripts/mutants.ts";
import { mutants } from "../../mutants/mutants.ts";

it("each planted defect changes text that its file has once, and breaks a law that exists", () => {
  const laws = new Set(readLaws().map(({ number }) => number));
  for (const mutant of mutants) {
    expect(() => mutated(mutant)).not.toThrow();
    expect([mutant.why, mutant.find === mutant.replace, laws.has(mutant.law)]).toEqual([mutant.why, false, true]);
  }
  expect(mutants).toHaveLength(71);
});
