import { expect, it } from "vitest";
import { aChat, aRecord, aTask, openMemory } from "#harness/experiments/queue-records.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import { compareSettings } from "#src/experiments/queue/compare-settings.ts";
import type { QueueRecord } from "#src/experiments/queue/run-queue.ts";

const workload = { tasks: 320, meanRunMs: 30_000, chats: 4, load: 0.5, seed: 5 };
const silent = aRecord({ ...workload, silences: { everyMs: 200_000, forMs: 40_000 }, lifeMs: 3_000_000 });

const compare = (record: QueueRecord, from: Partial<Settings>, to: Partial<Settings>) =>
  compareSettings(openMemory, record, from, to);

it("[EX85] equal settings differ by exactly 0, whatever happens to the chats @night", () => {
  const { effect, verdict, blocks, outcomes } = compare(silent, { chatTtlMs: 30_000 }, {});
  expect({ effect, verdict, blocks }).toEqual({ effect: 0, verdict: "equivalent", blocks: 64 });
  expect(outcomes.to).toEqual(outcomes.from);
  expect(outcomes.from.falseDepartures).toBeGreaterThan(10);
});

it("[EX85] the same input gives the same answer, in whatever order the tasks are listed @night", () => {
  const sets = [{ chatTtlMs: 30_000 }, { chatTtlMs: 60_000 }] as const;
  const short = aRecord({ ...workload, tasks: 100, silences: { everyMs: 100_000, forMs: 40_000 }, lifeMs: 1_000_000 });
  const first = compare(short, ...sets);
  expect(first.effect).toBeLessThan(0);
  expect(compare(short, ...sets)).toEqual(first);
  const reversed = { ...short, tasks: short.tasks.toReversed() };
  expect(compare(reversed, ...sets).outcomes).toEqual(first.outcomes);
});

it("[EX86] a task that no chat does has lost the bound under both settings", () => {
  const tasks = Array.from({ length: 10 }, (_, index) => aTask({ atMs: index * 1_000 }));
  const { effect, outcomes } = compare({ windowMs: 10_000, tasks, chats: [] }, {}, { chatTtlMs: 60_000 });
  expect([effect, outcomes.from.meanWaitMs, outcomes.from.deadTasks]).toEqual([0, 600_000, 0]);
});

it("[EX86] tasks that run for long may lose more before it matters", () => {
  const margins = [1_000, 60_000, 1_200_000].map((runMs) => {
    const tasks = Array.from({ length: 400 }, (_, index) => aTask({ atMs: index, runMs }));
    return compare({ windowMs: 1_000, tasks, chats: [] }, {}, {}).interval.high;
  });
  expect(margins[0]).toBeLessThan(1_000);
  expect((margins[1] ?? 0) / (margins[0] ?? 1)).toBeCloseTo(3, 6);
  expect((margins[2] ?? 0) / (margins[0] ?? 1)).toBeCloseTo(60, 6);
});

it("[EX87] too few tasks, or none, give no verdict", () => {
  const record = aRecord({ ...workload, tasks: 95 });
  expect(compare(record, {}, { chatTtlMs: 60_000 })).toMatchObject({ verdict: "undecided", blocks: 19 });
  const none = compare({ windowMs: 1_000, tasks: [], chats: [] }, {}, {});
  expect(none).toMatchObject({ verdict: "undecided", blocks: 0, effect: null, outcomes: { from: { p95WaitMs: 0 } } });
});

it("[EX87] one silence that delays all tasks behind it is one block, and no evidence", () => {
  const tasks = Array.from({ length: 300 }, (_, index) => aTask({ atMs: index * 10_000, runMs: 10_000 }));
  const chats = [aChat({ silences: [{ atMs: 25_000, forMs: 45_000 }] })];
  const { verdict, blocks, effect } = compare({ windowMs: 3_000_000, tasks, chats }, {}, { chatTtlMs: 60_000 });
  expect([verdict, blocks]).toEqual(["undecided", 2]);
  expect(effect).toBeLessThan(0);
});

it("[EX87] a queue that is never empty still gives a verdict where nothing differs", () => {
  const tasks = Array.from({ length: 320 }, () => aTask({ runMs: 20_000 }));
  const record = { windowMs: 1_000, tasks, chats: [aChat({ capacity: 2 }), aChat({})] };
  expect(compare(record, {}, { balancingIntervalMs: 60_000 })).toMatchObject({ verdict: "equivalent", effect: 0 });
});

it("[EX87] a shorter ttl that makes chats depart wrongly is not better, and no verdict hides a dead task @night", () => {
  const dying = aRecord({ ...workload, silences: { everyMs: 300_000, forMs: 100_000 }, load: 0.2 });
  const { verdict, outcomes } = compare(dying, { chatTtlMs: 120_000 }, { chatTtlMs: 30_000 });
  expect(outcomes.to.falseDepartures).toBeGreaterThan(outcomes.from.falseDepartures);
  expect(verdict).not.toBe("better");
});
