import { expect, it } from "vitest";
import type { Finding } from "#src/contract/machine/learning.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";
import { nextTrial, start } from "#src/machine/learning/machine-trials.ts";
import { endByHand } from "#harness/experiments/trials.ts";
import { enoughChats, pastChats } from "#harness/experiments/past-chats.ts";
import { aSession, workingSessions } from "#harness/experiments/sessions.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

function aFinding(overrides: Partial<Finding>): Finding {
  return {
    id: "old_checkpoint_at_death:checkpoint.everyMs",
    pattern: "old_checkpoint_at_death",
    subject: "checkpoint.everyToolCalls",
    evidence: { n: 40, windowMs: 1, figures: {} },
    parameter: "checkpoint.everyToolCalls",
    from: 10,
    to: 7,
    expected: null,
    test: "replay",
    pValue: 0.001,
    title: "",
    text: "",
    advice: "",
    ...overrides,
  };
}

/** Replay finds fewer calls between two checkpoints better on these. */
const recorded = workingSessions(200, 1);
const rarer = { parameter: "checkpoint.everyMs", from: 300_000, to: 250_000 } as const;

it("the most certain finding with a step that SHIM may take is tried, and not again for 30 days @night", () => {
  const runtime = tempRuntime();
  pastChats(runtime);
  const byPerson = aFinding({ ...rarer, to: null });
  const riskier = aFinding({ ...rarer, to: 450_000 });
  const unknown = aFinding({ parameter: "team.strictFiles", from: 0, to: 1 });
  const possible = aFinding({});
  expect(nextTrial(runtime, [byPerson, riskier, unknown], recorded)).toEqual({ trial: null, waits: [] });
  const { trial } = nextTrial(runtime, [byPerson, riskier, possible], recorded);
  const replay = { verdict: "better", note: expect.stringMatching(/^better in 200 sessions/) };
  expect(trial).toMatchObject({ key: "checkpoint.everyToolCalls", to: 7, reason: possible.id, replay });
  const tried = trial && start(runtime, trial, "kaizen");
  if (!tried?.ok) throw new Error("not started");
  const { id } = tried.value;
  expect(tried.value).toMatchObject({ state: "canary", key: "checkpoint.everyToolCalls", from: 10, to: 7 });
  expect(listNewest(runtime, 5)).toMatchObject([
    { kind: "experiment.started", subject: id, actor: "kaizen", detail: { result: "done" } },
  ]);
  endByHand(runtime, id);
  expect(nextTrial(runtime, [possible], recorded).trial).toBeNull();
  runtime.wait(31 * 86_400_000);
  pastChats(runtime);
  expect(nextTrial(runtime, [possible], recorded).trial?.to).toBe(7);
});

it("a replay with too few sessions decides and blocks nothing: it waits, with its reason, and the next is tried", () => {
  const runtime = tempRuntime();
  pastChats(runtime);
  const alone = nextTrial(runtime, [aFinding(rarer)], recorded.slice(0, 19));
  expect(alone).toMatchObject({ trial: null, waits: [expect.stringMatching(/everyMs.*replay of 19 sessions/)] });
});

it("the sessions that a review has read decide: the newest 500, without a second read of the store", () => {
  const runtime = tempRuntime();
  const all = [
    ...recorded,
    ...workingSessions(20, 2),
    ...Array.from({ length: 480 }, () => aSession({ isComplete: false })),
  ];
  const next = nextTrial(runtime, [aFinding(rarer)], all);
  const told = next.trial?.replay?.note ?? next.waits[0] ?? "";
  expect(Number(/(?:of|in) (\d+) sessions/.exec(told)?.[1])).toBe(20);
});

it("a trial that could not have its chats in its days waits, with the figures of this machine", () => {
  const runtime = tempRuntime();
  pastChats(runtime, enoughChats - 1);
  // A value that replay does not find better ends at once, and needs no chats.
  const { trial, waits } = nextTrial(runtime, [aFinding({}), aFinding(rarer)], recorded);
  expect(trial).toMatchObject({ key: "checkpoint.everyMs", replay: { verdict: "equivalent" } });
  expect(waits).toEqual([expect.stringContaining("400 new chats in 28 days, and this machine had 399")]);
  pastChats(runtime, 1);
  expect(nextTrial(runtime, [aFinding({})], recorded).trial?.replay?.verdict).toBe("better");
  runtime.wait(29 * 86_400_000);
  expect(nextTrial(runtime, [aFinding({})], recorded).trial).toBeNull();
});
