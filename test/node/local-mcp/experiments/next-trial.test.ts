import { expect, it } from "vitest";
import type { Finding } from "#src/experiments/opportunities/finding.ts";
import { nextTrial, tryFinding } from "#src/local-mcp/experiments/next-trial.ts";
import { listNewest } from "#src/local-mcp/audit/machine-audit.ts";
import { stopOne } from "#src/local-mcp/experiments/experiments.ts";
import { aSession, workingSessions } from "#harness/experiments/sessions.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

function aFinding(overrides: Partial<Finding>): Finding {
  return {
    id: "context_full_unseen:risk.thresholds.contextFill",
    pattern: "context_full_unseen",
    subject: "brief.orders",
    evidence: { n: 40, windowMs: 1, figures: {} },
    parameter: "brief.orders",
    from: 20,
    to: 30,
    direction: "up",
    expected: null,
    test: "live",
    confidence: { pValue: 0.001, basis: "measured" },
    ...overrides,
  };
}

it("[EX82] [EX58] the most certain finding with a step that SHIM may take is tried, and not again for 30 days", () => {
  const runtime = tempRuntime();
  const byPerson = aFinding({ parameter: "checkpoint.everyMs", from: 300_000, to: null });
  const riskier = aFinding({ parameter: "checkpoint.everyMs", from: 300_000, to: 450_000 });
  const unknown = aFinding({ parameter: "team.strictFiles", from: 0, to: 1 });
  const possible = aFinding({});
  expect(nextTrial(runtime, [byPerson, riskier, unknown])).toBeNull();
  expect(nextTrial(runtime, [byPerson, riskier, possible])).toBe(possible);
  const tried = tryFinding(runtime, possible);
  expect(tried).toMatchObject({ state: "canary", key: "brief.orders", from: 20, to: 30, replay: null });
  expect(listNewest(runtime, 5)).toMatchObject([
    { kind: "experiment.started", subject: tried?.id, actor: "kaizen", detail: { result: "done" } },
  ]);
  stopOne(runtime, tried?.id ?? "", "enough");
  expect(nextTrial(runtime, [possible])).toBeNull();
  runtime.wait(31 * 86_400_000);
  expect(nextTrial(runtime, [possible])).toBe(possible);
});

it("[EX82] [EX44] replay decides first: without enough sessions nothing is tried with chats", () => {
  const runtime = tempRuntime();
  const finding = aFinding({ parameter: "checkpoint.everyMs", from: 300_000, to: 200_000, test: "replay" });
  expect(tryFinding(runtime, finding)).toMatchObject({ state: "decided", verdict: "undecided", canary: null });
});

it("[EX82] the sessions that a review has read decide: the newest 500, without a second read of the store", () => {
  const runtime = tempRuntime();
  const finding = aFinding({ parameter: "checkpoint.everyMs", from: 300_000, to: 200_000, test: "replay" });
  const recorded = [...workingSessions(30, 1), ...Array.from({ length: 480 }, () => aSession({ isComplete: false }))];
  expect(tryFinding(runtime, finding, recorded)?.replay).toMatchObject({ sessions: 20 });
});
