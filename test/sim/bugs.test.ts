import { expect, it } from "vitest";
import { setting } from "#harness/machine/mcp-process.ts";
import { bugs } from "./bugs.ts";
import { simulate } from "./days.ts";

const timeout = 3_600_000;

it.each(bugs)("a broken law is found and reported as $rule: $law", { timeout }, async (bug) => {
  const { violation } = await simulate({ seed: bug.seed, events: 30_000, bug, day: 3_000 });
  expect(violation).toMatchObject({ rule: bug.rule });
});

it.each(bugs)("further seeds find a broken law: $law @night", { timeout }, async (bug) => {
  const missed: number[] = [];
  for (let seed = 11; seed < 11 + setting("SHIM_BUG_SEEDS", 3); seed++) {
    const { violation } = await simulate({ seed, events: bug.within ?? 30_000, bug, day: 3_000 });
    if (!violation) missed.push(seed);
  }
  expect(missed).toEqual([]);
});

it("a run that searches for a broken law finds nothing in a sound coordinator @night", { timeout }, async () => {
  const found: string[] = [];
  for (const { name, law, rule, seed, focus } of bugs) {
    const search = { name, law, rule, seed, ...(focus ? { focus } : {}) };
    const { violation } = await simulate({ seed: 10, events: 4_000, bug: search, day: 2_000 });
    if (violation) found.push(`${name}: ${violation.message}`);
  }
  expect(found).toEqual([]);
});
