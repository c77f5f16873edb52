import { mean } from "simple-statistics";
import { expect, it } from "vitest";
import { aChat, aRecord, aTask, openMemory } from "#harness/experiments/queue-records.ts";
import { type QueueRecord, runQueue } from "#src/experiments/queue/run-queue.ts";

const run = (record: QueueRecord, settings = {}) => runQueue(openMemory(), record, settings);

/** Each task in turn gets the server that is free first. */
function waitsOf({ tasks }: QueueRecord, servers: number): number[] {
  const freeAt = Array.from({ length: servers }, () => 0);
  return tasks.map(({ atMs, runMs }) => {
    freeAt.sort((a, b) => a - b);
    const startAt = Math.max(atMs, freeAt[0] ?? 0);
    freeAt[0] = startAt + runMs;
    return startAt - atMs;
  });
}

it("[EX88] tasks that come faster than one chat does them wait as by arithmetic", () => {
  const tasks = Array.from({ length: 50 }, (_, index) => aTask({ atMs: index * 10_000, runMs: 12_500 }));
  const { tasks: runs, ...rest } = run({ windowMs: 500_000, tasks, chats: [aChat({})] });
  expect(runs.map(({ waitMs }) => waitMs)).toEqual(tasks.map((_, index) => index * 2_500));
  expect(runs.map(({ delayMs }) => delayMs)).toEqual(tasks.map((_, index) => index * 2_500));
  expect(rest).toMatchObject({ deadTasks: 0, falseDepartures: 0, redeliveries: 0 });
});

it.each([
  { chats: 1, capacity: 1, load: 0.9 },
  { chats: 5, capacity: 1, load: 0.8 },
  { chats: 2, capacity: 3, load: 0.95 },
])(
  "[EX88] $chats chats with room for $capacity at load $load make each task wait as an independent model has it",
  (mix) => {
    const record = aRecord({ tasks: 400, meanRunMs: 90_000, seed: 3, ...mix });
    const waits = waitsOf(record, mix.chats * mix.capacity);
    expect(Math.max(...waits)).toBeGreaterThan(30_000);
    expect(run(record).tasks.map(({ waitMs }) => waitMs)).toEqual(waits);
  },
);

it("[EX88] the mean wait of many tasks is that of the M/M/1 queue @night", () => {
  const record = aRecord({ tasks: 2_500, meanRunMs: 1_000, chats: 1, load: 0.5, seed: 11 });
  const waits = run(record).tasks.map(({ waitMs }) => waitMs ?? 0);
  // load / (1 - load) running times; the standard error of so many tasks is 108 ms.
  expect(Math.abs(mean(waits) - 1_000)).toBeLessThan(216);
});

it("[EX88] the task of a chat that dies starts again when its last ping is as old as the ttl", () => {
  const chats = [aChat({ untilMs: 12_000, end: "died" }), aChat({ fromMs: 5_000 })];
  const record = { windowMs: 200_000, tasks: [aTask({ atMs: 1_000, runMs: 20_000 })], chats };
  // It pings every 10 s, so it was seen at 10 s.
  expect(run(record)).toMatchObject({ tasks: [{ waitMs: 0, delayMs: 39_000 }], redeliveries: 1, falseDepartures: 0 });
  expect(run(record, { chatTtlMs: 15_000 })).toMatchObject({ tasks: [{ delayMs: 24_000 }] });
});

it("[EX88] a silence within the ttl delays a result until its end; a longer one is a departure, and the task starts again", () => {
  const silences = [{ atMs: 15_000, forMs: 40_000 }];
  const chats = [aChat({ silences }), aChat({ fromMs: 5_000 })];
  const record = { windowMs: 200_000, tasks: [aTask({ atMs: 1_000, runMs: 20_000 })], chats };
  const kept = { tasks: [{ delayMs: 34_000 }], redeliveries: 0, falseDepartures: 0 };
  expect(run(record, { chatTtlMs: 60_000 })).toMatchObject(kept);
  const lost = { tasks: [{ delayMs: 44_000 }], redeliveries: 1, falseDepartures: 1 };
  expect(run(record, { chatTtlMs: 30_000 })).toMatchObject(lost);
});

it("[EX88] a chat that is silent for days comes back as one that had departed", () => {
  const chats = [aChat({ silences: [{ atMs: 10_000, forMs: 200_000_000 }] })];
  const { falseDepartures, tasks } = run({ windowMs: 300_000_000, tasks: [aTask({ atMs: 20_000 })], chats });
  expect([falseDepartures, tasks[0]?.waitMs]).toEqual([1, 199_990_000]);
});

it("[EX88] a task that fails as often as in the record runs as often, with the pauses between", () => {
  const { tasks, deadTasks } = run({
    windowMs: 60_000,
    tasks: [aTask({ failures: 1 }), aTask({ failures: 6, atMs: 10 })],
    chats: [aChat({ capacity: 2 })],
  });
  expect(deadTasks).toBe(0);
  expect(tasks[0]?.delayMs).toBeGreaterThanOrEqual(1_000);
  expect(tasks[0]?.delayMs).toBeLessThanOrEqual(2_000);
  expect(tasks[1]?.delayMs).toBeGreaterThan(60_000);
});

it("[EX88] priority and types decide who starts what; a chat that leaves gives its task back", () => {
  const blocker = aTask({ runMs: 10_000 });
  const [low, high] = [aTask({ atMs: 1, priority: 1 }), aTask({ atMs: 2, priority: 9 })];
  const waits = run({ windowMs: 60_000, tasks: [low, blocker, high], chats: [aChat({})] }).tasks;
  expect(waits.map(({ waitMs }) => waitMs)).toEqual([0, 10_999, 9_998]);
  const other = run({ windowMs: 60_000, tasks: [aTask({ type: "review" })], chats: [aChat({ types: ["build"] })] });
  expect(other.tasks).toEqual([{ atMs: 0, waitMs: null, delayMs: null, endMs: 0 }]);
  const left = run({
    windowMs: 60_000,
    tasks: [aTask({ runMs: 10_000 })],
    chats: [aChat({ untilMs: 4_000 }), aChat({ fromMs: 2_000 })],
  });
  expect(left).toMatchObject({ tasks: [{ waitMs: 0, delayMs: 4_000 }], redeliveries: 1, deadTasks: 0 });
});

it("[EX88] more chats are admitted than the settings allow, as they were in the record", () => {
  const chats = Array.from({ length: 110 }, () => aChat({}));
  expect(run({ windowMs: 1_000, tasks: [aTask({ atMs: 10 })], chats }).tasks[0]?.waitMs).toBe(0);
});

it("[EX88] a task whose chats all die is dead after as many as the settings allow", () => {
  const chats = Array.from({ length: 4 }, (_, index) =>
    aChat({ fromMs: index * 100_000, untilMs: index * 100_000 + 5_000, end: "died" }),
  );
  const record = { windowMs: 500_000, tasks: [aTask({ atMs: 1_000, runMs: 60_000 })], chats };
  expect(run(record)).toMatchObject({ tasks: [{ delayMs: null }], deadTasks: 1, redeliveries: 3 });
});

it("[EX88] what a record cannot mean is skipped: a chat without a life, silences after its end or within one another", () => {
  const silences = [-5, 2_000, 3_000, 90_000].map((atMs) => ({ atMs, forMs: atMs === 3_000 ? 0 : 5_000 }));
  const chats = [aChat({ silences, untilMs: 50_000 }), aChat({ fromMs: 9_000, untilMs: 9_000 }), aChat({ fromMs: -1 })];
  const { tasks, falseDepartures } = run({ windowMs: 100_000, tasks: [aTask({ atMs: 1_000 })], chats });
  expect([tasks.length, tasks[0]?.waitMs, falseDepartures]).toEqual([1, 0, 0]);
  expect(run({ windowMs: 0, tasks: [], chats: [] }).tasks).toEqual([]);
  const idle = run({ windowMs: 10, tasks: [aTask({})], chats: [aChat({ types: [] }), aChat({ capacity: 0 })] });
  expect(idle.tasks[0]?.waitMs).toBeNull();
});
