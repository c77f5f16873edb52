import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Statement } from "#src/contract/work-state.ts";
import { claimsOf, score, type Restorable } from "#src/local-mcp/recovery/score.ts";
import { aState } from "#harness/machine/work-states.ts";

function restorable(overrides: Partial<Restorable> = {}): Restorable {
  return { state: aState(), files: [], head: null, checkpoint: null, ...overrides };
}

const decision: Statement = { text: "Use Postgres for the store", at: 1, source: "user" };
const whole = restorable({
  state: aState({
    requests: [{ text: "fix the parser", at: 1 }],
    decided: [decision],
    nextStep: "write the test",
    said: { nextStep: 2, nextBy: "chat" },
    git: { branch: "main", commit: "c" },
    conversation: [
      { role: "user", text: "a", at: 1 },
      { role: "assistant", text: "b", at: 2 },
    ],
  }),
  files: [{ now: "same", path: "/p/a", action: "edited" }],
  head: { branch: "main", commit: "c" },
});

const share = (known: Restorable, name: string): number | undefined =>
  score(known).parts.find((part) => part.name === name)?.share;

it("[RE6] all known and verified is 100, nothing known is 0; each probe lists what it consists of", () => {
  expect(score(whole).total).toBe(100);
  expect(score(restorable()).total).toBe(0);
  expect(score(whole).parts.map(({ name, weight }) => [name, weight])).toEqual([
    ["recall", 30],
    ["artifacts", 25],
    ["continuation", 25],
    ["decisions", 20],
  ]);
  for (const part of score(whole).parts) expect(part.items.length).toBeGreaterThan(0);
});

it("[RE75] what is missing lowers its probe: files, branch, next step, requests that were thinned out", () => {
  const files = ["same", "changed", "missing", "unknown"].map((now, index) => ({
    now,
    path: `/${index}`,
    action: "edited",
  }));
  expect(share({ ...whole, files: files as never }, "artifacts")).toBeCloseTo((3 / 4 + 1) / 4);
  expect(share({ ...whole, head: { branch: "other", commit: "c" } }, "artifacts")).toBeCloseTo(3 / 4);
  expect(share({ ...whole, state: { ...whole.state, nextStep: null } }, "continuation")).toBe(0.5);
  const thinned = { ...whole, state: { ...whole.state, thinned: { plain: 0, kept: 3 } } };
  expect(share(thinned, "recall")).toBeLessThan(share(whole, "recall") ?? 0);
  const crowded = { ...whole, state: { ...whole.state, missing: 9 } };
  expect(share(crowded, "decisions")).toBeLessThan(0.5);
});

it("[RE75] a goal that only the chat has stated is not the user's: recall is not whole", () => {
  const { requests: _requests, ...state } = whole.state;
  expect(share({ ...whole, state: { ...state, requests: [], goal: "g" } }, "recall")).toBeLessThan(0.8);
});

it("[RE76] a probe that does not apply is left out, and the rest weighs more", () => {
  const { git: _git, decided: _decided, ...state } = whole.state;
  expect(score(restorable({ state })).parts.map(({ name }) => name)).toEqual(["recall", "continuation"]);
  expect(score(restorable({ state })).total).toBe(100);
});

it("[RE30] a false claim makes its probe zero and the total 50 at most", () => {
  const claims = claimsOf(whole.state);
  const taken = { ...decision, takenBack: { text: "No Postgres", at: 3 } };
  const stale = score(whole, { ...claims, rules: { orders: [], decided: [taken] } });
  expect(stale.parts.find(({ name }) => name === "decisions")).toMatchObject({
    share: 0,
    falseClaim: expect.stringContaining("Postgres"),
  });
  expect(stale.total).toBe(50);
  const done = { ...whole, state: { ...whole.state, done: ["write the test"] } };
  const step = { text: "write the test", source: "the chat", at: 2 };
  expect(score(done, { ...claims, next: step }).parts.find(({ name }) => name === "continuation")?.share).toBe(0);
  const both = [
    { now: "same", path: "/p/a", action: "edited" },
    { now: "changed", path: "/p/a", action: "edited" },
  ] as const;
  expect(score({ ...whole, files: both }).parts.find(({ name }) => name === "artifacts")?.share).toBe(0);
});

it("[RE6] the score is a whole number from 0 to 100, and never falls when a file is as it was", () => {
  const files = fc.array(fc.record({ now: fc.constantFrom("same", "changed", "missing", "unknown") }), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(files, (some) => {
      const known = score({ ...whole, files: some });
      expect(Number.isInteger(known.total) && known.total >= 0 && known.total <= 100).toBe(true);
      if (some.length === 0) return;
      expect(score({ ...whole, files: [...some, { now: "same" }] }).total).toBeGreaterThanOrEqual(known.total);
    }),
  );
});
