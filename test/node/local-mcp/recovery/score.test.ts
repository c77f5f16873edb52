import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Statement, WorkState } from "#src/contract/work-state.ts";
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
  const { total, parts } = score(whole);
  expect([total, score(restorable()).total]).toEqual([100, 0]);
  const weights = { recall: 30, artifacts: 25, continuation: 25, decisions: 20 };
  expect(Object.fromEntries(parts.map(({ name, weight }) => [name, weight]))).toEqual(weights);
  for (const part of parts) expect(part.items.length).toBeGreaterThan(0);
});

it("[RE75] what is missing lowers its probe: files, branch, next step, requests that were thinned out", () => {
  const files = ["same", "changed", "missing", "unknown"].map((now, n) => ({ now, path: `/${n}`, action: "edited" }));
  expect(share({ ...whole, files: files as never }, "artifacts")).toBeCloseTo((3 / 4 + 1) / 4);
  expect(share({ ...whole, head: { branch: "other", commit: "c" } }, "artifacts")).toBeCloseTo(3 / 4);
  const deleted = { ...whole, files: [{ now: "deleted", path: "/p/a", action: "created" }] as const };
  expect(JSON.stringify(score(deleted))).toContain("1 of 1 files as the chat left them, 1 of them deleted");
  const having = (state: Partial<WorkState>): Restorable => ({ ...whole, state: { ...whole.state, ...state } });
  expect(share(having({ nextStep: null }), "continuation")).toBe(0.5);
  const thinned = having({ thinned: { plain: 0, kept: 3 } });
  expect(share(thinned, "recall")).toBeLessThan(share(whole, "recall") ?? 0);
  const cut = having({ requests: [{ text: "fix the parser … [cut, 900 more characters]", at: 1 }] });
  expect(share(cut, "recall")).toBeLessThan(share(whole, "recall") ?? 0);
  expect(share(having({ missing: 9 }), "decisions")).toBeLessThan(0.5);
  // A goal that only the chat has stated is not the user's.
  expect(share(having({ requests: [], goal: "g" }), "recall")).toBeLessThan(0.8);
});

it("[RE76] a probe that does not apply is left out, and the rest weighs more", () => {
  const { git: _git, decided: _decided, ...state } = whole.state;
  expect(score(restorable({ state })).parts.map(({ name }) => name)).toEqual(["recall", "continuation"]);
  expect(score(restorable({ state })).total).toBe(100);
});

function probe(name: string, ...of: Parameters<typeof score>): unknown {
  return score(...of).parts.find((part) => part.name === name);
}

it("[RE30] a false claim makes its probe zero and the total 50 at most", () => {
  const claims = claimsOf(whole.state);
  const taken = { ...decision, takenBack: { text: "No Postgres", at: 3 } };
  const stale = { ...claims, rules: { orders: [], decided: [taken] } };
  const falseClaim = expect.stringContaining("Postgres") as string;
  expect(probe("decisions", whole, stale)).toMatchObject({ share: 0, falseClaim });
  expect(score(whole, stale).total).toBe(50);
  const done = { ...whole, state: { ...whole.state, done: ["write the test"] } };
  const next = { text: "write the test", source: "the chat", at: 2 };
  expect(probe("continuation", done, { ...claims, next })).toMatchObject({ share: 0 });
  const files = (["same", "changed"] as const).map((now) => ({ now, path: "/p/a", action: "edited" }) as const);
  expect(probe("artifacts", { ...whole, files })).toMatchObject({ share: 0 });
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
