import { expect, it } from "vitest";
import type { Finding } from "#src/contract/machine/learning.ts";
import { nextTrial } from "#src/local-mcp/experiments/next-trial.ts";
import { listNewest } from "#src/local-mcp/audit/machine-audit.ts";
import { start } from "#src/local-mcp/experiments/machine-trials.ts";
import { endByHand } from "#harness/experiments/trials.ts";
import { pastBriefs } from "#harness/experiments/past-chats.ts";
import { aSession, workingSessions } from "#harness/experiments/sessions.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

function aFinding(overrides: Partial<Finding>): Finding {
  return {
    id: "context_full_unseen:risk.thresholds.contextFill",
    pattern: "context_full_unseen",
    subject: "brief.prompts",
    evidence: { n: 40, windowMs: 1, figures: {} },
    parameter: "brief.prompts",
    from: 50,
    to: 75,
    direction: "up",
    expected: null,
    test: "live",
    confidence: { pValue: 0.001, basis: "measured" },
    title: "",
    text: "",
    advice: "",
    ...overrides,
  };
}

const replayable = { parameter: "checkpoint.everyMs", from: 300_000, to: 200_000, test: "replay" } as const;

it("[EX82] [EX58] the most certain finding with a step that SHIM may take is tried, and not again for 30 days @night", () => {
  const runtime = tempRuntime();
  pastBriefs(runtime);
  const byPerson = aFinding({ parameter: "checkpoint.everyMs", from: 300_000, to: null });
  const riskier = aFinding({ parameter: "checkpoint.everyMs", from: 300_000, to: 450_000 });
  const unknown = aFinding({ parameter: "team.strictFiles", from: 0, to: 1 });
  const possible = aFinding({});
  expect(nextTrial(runtime, [byPerson, riskier, unknown], []).trial).toBeNull();
  const next = nextTrial(runtime, [byPerson, riskier, possible], []);
  const prompts = { key: "brief.prompts", to: 75, reason: possible.id, replay: null };
  expect(next.trial).toEqual(prompts);
  const tried = start(runtime, prompts, "kaizen");
  if (!tried.ok) throw new Error(tried.error.code);
  expect(tried.value).toMatchObject({ state: "canary", key: "brief.prompts", from: 50, to: 75 });
  const { id } = tried.value;
  expect(listNewest(runtime, 5)).toMatchObject([
    { kind: "experiment.started", subject: id, actor: "kaizen", detail: { result: "done" } },
  ]);
  endByHand(runtime, id);
  expect(nextTrial(runtime, [possible], []).trial).toBeNull();
  runtime.wait(31 * 86_400_000);
  pastBriefs(runtime);
  expect(nextTrial(runtime, [possible], []).trial).toEqual(prompts);
});

it("[EX171] a replay with too few sessions decides and blocks nothing: it waits, with its reason, and the next is tried @night", () => {
  const runtime = tempRuntime();
  pastBriefs(runtime);
  const [finding, possible] = [aFinding(replayable), aFinding({})];
  const alone = nextTrial(runtime, [finding], workingSessions(19, 1));
  expect(alone).toMatchObject({ trial: null, waits: [expect.stringContaining("checkpoint.everyMs")] });
  expect(nextTrial(runtime, [finding, possible], []).trial?.key).toBe("brief.prompts");
  expect(nextTrial(runtime, [finding], workingSessions(200, 1))).toMatchObject({
    trial: { key: "checkpoint.everyMs" },
    waits: [],
  });
});

it("[EX82] the sessions that a review has read decide: the newest 500, without a second read of the store", () => {
  const runtime = tempRuntime();
  const recorded = [
    ...workingSessions(200, 1),
    ...workingSessions(20, 2),
    ...Array.from({ length: 480 }, () => aSession({ isComplete: false })),
  ];
  const next = nextTrial(runtime, [aFinding(replayable)], recorded);
  const sessions = Number(
    /(?:and|in) (\d+) (?:are|sessions)/.exec(next.trial?.replay?.note ?? next.waits[0] ?? "")?.[1],
  );
  expect(sessions).toBe(20);
});

it("[EX174] a trial that could not have its chats in its days waits, with the figures of this machine @night", () => {
  const runtime = tempRuntime();
  const live = aFinding({});
  const lessLost = aFinding({ parameter: "checkpoint.everyToolCalls", from: 10, to: 7, test: "replay" });
  pastBriefs(runtime, 399);
  expect(nextTrial(runtime, [live], [])).toMatchObject({
    trial: null,
    waits: [expect.stringMatching(/`brief\.prompts` = 75 .* chats that are given a brief in 28 days, .* had 399 in/)],
  });
  const recorded = workingSessions(200, 1);
  expect(nextTrial(runtime, [lessLost], recorded)).toMatchObject({
    trial: null,
    waits: [expect.stringContaining("400 new chats in 28 days, and this machine had 399")],
  });
  pastBriefs(runtime, 1);
  expect(nextTrial(runtime, [lessLost], recorded)).toMatchObject({
    trial: { key: "checkpoint.everyToolCalls", replay: { verdict: "better" } },
  });
  runtime.wait(29 * 86_400_000);
  pastBriefs(runtime);
  expect(nextTrial(runtime, [live], []).trial?.key).toBe("brief.prompts");
});
