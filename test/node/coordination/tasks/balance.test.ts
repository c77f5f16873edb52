import * as fc from "fast-check";
import { expect, it } from "vitest";
import {
  selectChat,
  type Candidate,
  initialPerformance,
  update,
  type RunOutcome,
  type Performance,
} from "#src/coordination/tasks/candidates.ts";
import { aCandidate, anyChatLoad, anyTask, anyWanted } from "#harness/coordinator/candidates.ts";

const chosen = (...asked: Parameters<typeof selectChat>) => selectChat(...asked)?.chat ?? null;

const after = (outcomes: readonly RunOutcome[]): Performance => outcomes.reduce(update, initialPerformance);
const success = (durationMs: number): RunOutcome => ({ isSuccess: true, durationMs });
const failure: RunOutcome = { isSuccess: false, durationMs: 1 };

const anyOutcomes = fc.array(fc.record({ isSuccess: fc.boolean(), durationMs: fc.integer({ min: 0, max: 5_000 }) }), {
  maxLength: 5,
});
const anyCandidates = fc
  .array(fc.tuple(anyChatLoad, fc.option(anyOutcomes.map(after)), fc.option(fc.integer({ min: 1, max: 3 }))), {
    maxLength: 8,
  })
  .map((rows) =>
    rows.map(([seat, performance, lastAssignedAt], at) =>
      aCandidate(`c${at}`, { ...seat, performance, lastAssignedAt }),
    ),
  );
it("no other capable chat with room has less load, and the order of the candidates changes nothing", () => {
  const shuffled = anyCandidates.chain((all) =>
    fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
  );
  fc.assert(
    fc.property(shuffled, anyWanted, ([candidates, others], task) => {
      const choice = selectChat(candidates, task);
      expect(selectChat(others, task)).toEqual(choice);
      const free = candidates.filter(
        ({ capabilities, running, capacity }) =>
          running < capacity && task.capabilities.every((one) => capabilities.includes(one)),
      );
      if (choice === null) {
        expect(free).toEqual([]);
        return;
      }
      const loads = free.map(({ running, capacity }) => running / capacity);
      const best = free.find(({ chat }) => chat === choice.chat);
      expect((best?.running ?? 9) / (best?.capacity ?? 1)).toBe(Math.min(...loads));
      // Who was not chosen could as well not have been there.
      for (const other of candidates.filter(({ chat }) => chat !== choice.chat)) {
        const without = candidates.filter((one) => one !== other);
        expect(selectChat(without, task)).toEqual(choice);
      }
    }),
    { numRuns: 500 },
  );
});

it("load, affinity, performance, longest without a task, name: each decides where those before it are even", () => {
  const slow = after([success(9_000)]);
  const one = aCandidate("a", { running: 1, performance: slow, lastAssignedAt: 9 });
  const rivals: readonly [string, Candidate][] = [
    ["name", { ...one, chat: "A" }],
    ["longest without", { ...one, chat: "b", lastAssignedAt: 8 }],
    ["never had one", { ...one, chat: "c", lastAssignedAt: null }],
    ["faster", { ...one, chat: "d", performance: after([success(8_000)]), lastAssignedAt: 10 }],
    ["wished for", { ...one, chat: "e", performance: after([failure]), lastAssignedAt: 10 }],
    ["less load", { ...one, chat: "f", capacity: 4, performance: after([failure]), lastAssignedAt: 10 }],
  ];
  const task = { capabilities: [], affinity: "e" };
  for (const [at, [, rival]] of rivals.entries()) {
    const before = rivals.slice(0, at).map(([, candidate]) => candidate);
    expect(chosen([one, ...before, rival], task)).toBe(rival.chat);
  }
});

it("an affinity to a chat that is full, lacks a capability or is gone is not waited for", () => {
  const request = { capabilities: ["db"], affinity: "a" };
  const b = aCandidate("b", { capabilities: ["db", "web"] });
  expect(chosen([aCandidate("a", { capabilities: ["db"] }), b], request)).toBe("a");
  expect(chosen([aCandidate("a", { capabilities: ["db"], running: 3 }), b], request)).toBe("b");
  expect(chosen([aCandidate("a"), b], request)).toBe("b");
  expect(chosen([b], request)).toBe("b");
  expect(selectChat([aCandidate("a")], request)).toBeNull();
  expect(selectChat([{ ...b, running: 3 }], request)).toBeNull();
  expect(selectChat([{ ...b, capacity: 0 }], request)).toBeNull();
  expect(selectChat([], request)).toBeNull();
});

it("tasks given one after the other go round", () => {
  const chats = new Map(["a", "b", "c"].map((chat) => [chat, aCandidate(chat, { capacity: 2 })]));
  const given = Array.from({ length: 7 }, (_, now) => {
    const chat = chosen([...chats.values()], anyTask);
    const candidate = chats.get(chat ?? "");
    if (candidate) chats.set(candidate.chat, { ...candidate, running: candidate.running + 1, lastAssignedAt: now + 1 });
    return chat;
  });
  expect(given).toEqual(["a", "b", "c", "a", "b", "c", null]);
});

it("a chat without history is expected to do at least as well as any other", () => {
  fc.assert(
    fc.property(anyOutcomes, (outcomes) => {
      const known = aCandidate("a", { performance: after(outcomes), lastAssignedAt: 1 });
      expect(chosen([known, aCandidate("b")], anyTask)).toBe("b");
    }),
  );
});

it("a new outcome counts for a fifth, and only successes count for duration", () => {
  const first = update(initialPerformance, success(1_000));
  expect(first).toEqual({ successRate: 1, durationMs: 1_000 });
  expect(update(first, success(2_000))).toEqual({ successRate: 1, durationMs: 1_200 });
  const failed = update(first, failure);
  expect(failed).toEqual({ successRate: 0.8, durationMs: 1_000 });
  expect(update(failed, success(1_000)).successRate).toBeCloseTo(0.84, 10);
  expect(update(initialPerformance, failure)).toEqual({ successRate: 0.8, durationMs: null });
});

it("expectations stay within what was seen, a success never lowers success and a failure never raises it", () => {
  fc.assert(
    fc.property(anyOutcomes, anyOutcomes, (outcomes, more) => {
      let known = after(outcomes);
      for (const outcome of more) {
        const next = update(known, outcome);
        expect(next.successRate).toBeGreaterThanOrEqual(0);
        expect(next.successRate).toBeLessThanOrEqual(1);
        if (outcome.isSuccess) expect(next.successRate).toBeGreaterThanOrEqual(known.successRate);
        else expect(next.successRate).toBeLessThanOrEqual(known.successRate);
        known = next;
      }
      const durations = [...outcomes, ...more].filter(({ isSuccess }) => isSuccess).map(({ durationMs }) => durationMs);
      if (durations.length === 0) expect(known.durationMs).toBeNull();
      else {
        expect(known.durationMs).toBeGreaterThanOrEqual(Math.min(...durations) - 1e-6);
        expect(known.durationMs).toBeLessThanOrEqual(Math.max(...durations) + 1e-6);
      }
    }),
  );
});

it("a fast failure is not preferred to a slow success, nor a little speed to a clear difference in success", () => {
  const steady = aCandidate("steady", { performance: after([success(60_000), success(60_000)]) });
  const broken = aCandidate("broken", { performance: after([failure, failure, failure]) });
  expect(chosen([broken, steady], anyTask)).toBe("steady");
  const fast = aCandidate("fast", { performance: { successRate: 0.78, durationMs: 10 } });
  expect(chosen([fast, aCandidate("sure", { performance: { successRate: 0.92, durationMs: 900 } })], anyTask)).toBe(
    "sure",
  );
  expect(chosen([fast, aCandidate("alike", { performance: { successRate: 0.81, durationMs: 900 } })], anyTask)).toBe(
    "fast",
  );
});
