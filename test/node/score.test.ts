import * as fc from "fast-check";
import { expect, it } from "vitest";
import { score, type Restorable } from "../../src/local-mcp/recovery/score.ts";
import { aState } from "../support/work-states.ts";

function restorable(overrides: Partial<Restorable> = {}): Restorable {
  return { state: aState(), files: [], head: null, checkpoint: null, ...overrides };
}

const whole = restorable({
  state: aState({
    goal: "g",
    nextStep: "n",
    git: { branch: "main", commit: "c" },
    conversation: [
      { role: "user", text: "a", at: 1 },
      { role: "assistant", text: "b", at: 2 },
    ],
  }),
  files: [{ now: "same" }],
  head: { branch: "main", commit: "c" },
});

it("[RE6] all known and verified is 100, nothing known is 0", () => {
  expect(score(whole).total).toBe(100);
  expect(score(restorable()).total).toBe(0);
  expect(score(whole).parts.map(({ name, weight }) => [name, weight])).toEqual([
    ["request", 25],
    ["next step", 20],
    ["conversation", 15],
    ["files unchanged", 25],
    ["branch", 15],
  ]);
});

it("[RE6] each part counts its share: a changed file, another commit, another branch, a step that only shows", () => {
  expect(
    score({ ...whole, files: [{ now: "same" }, { now: "changed" }, { now: "missing" }, { now: "same" }] }).total,
  ).toBe(88);
  expect(score({ ...whole, head: { branch: "main", commit: "d" } }).total).toBe(93);
  expect(score({ ...whole, head: { branch: "other", commit: "c" } }).total).toBe(85);
  expect(score({ ...whole, head: null }).total).toBe(85);
  expect(score({ ...whole, state: { ...whole.state, nextStep: null } }).total).toBe(90);
});

it("[RE6] a part that does not apply is left out, and the rest weighs more", () => {
  const { git: _git, ...state } = whole.state;
  expect(score(restorable({ state, files: [{ now: "unknown" }] }))).toMatchObject({ total: 100, parts: [{}, {}, {}] });
});

it("[RE6] the score is a whole number from 0 to 100, and never falls when a file is as it was", () => {
  const files = fc.array(fc.record({ now: fc.constantFrom("same", "changed", "missing", "unknown") }), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(files, (some) => {
      const known = score({ ...whole, files: some });
      expect(Number.isInteger(known.total) && known.total >= 0 && known.total <= 100).toBe(true);
      expect(score({ ...whole, files: [...some, { now: "same" }] }).total).toBeGreaterThanOrEqual(known.total);
    }),
  );
});
