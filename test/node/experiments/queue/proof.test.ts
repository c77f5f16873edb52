import { afterAll, expect, it } from "vitest";
import { aRecord, openMemory, type Workload } from "#harness/experiments/queue-records.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import { compareSettings } from "#src/experiments/queue/compare-settings.ts";

/** 10,000 in `npm run stress -- queue`. */
const tasks = Number(process.env["SHIM_QUEUE_TASKS"] ?? 400);
const seed = Number(process.env["SHIM_QUEUE_SEED"] ?? 1);
const timeout = 240_000 + tasks * 30;

const rows: string[] = [];
afterAll(() => {
  if (process.env["SHIM_QUEUE_TASKS"] === undefined) return;
  const head = [
    "| what | from | to | blocks | verdict | effect, ms | interval | wait, ms | dead | false departures | redeliveries | operations | s |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
  ];
  console.log([...head, ...rows].join("\n"));
});

const calm = { tasks, meanRunMs: 60_000, chats: 5, load: 0.5, seed };
const silences = { everyMs: 600_000, forMs: 40_000 };

interface Case {
  readonly what: string;
  readonly workload: Workload;
  readonly setting: keyof Settings;
  readonly from: number;
  readonly to: number;
  readonly verdicts: readonly string[];
}

const cases: readonly Case[] = [
  {
    what: "silences of 40 s",
    workload: { ...calm, silences },
    setting: "chatTtlMs",
    from: 30_000,
    to: 60_000,
    verdicts: ["better"],
  },
  {
    what: "silences of 40 s",
    workload: { ...calm, silences },
    setting: "chatTtlMs",
    from: 60_000,
    to: 30_000,
    verdicts: ["worse"],
  },
  {
    what: "deaths every 10 min",
    workload: { ...calm, lifeMs: 600_000 },
    setting: "chatTtlMs",
    from: 30_000,
    to: 60_000,
    verdicts: ["worse", "equivalent", "undecided"],
  },
  {
    what: "deaths every 10 min",
    workload: { ...calm, lifeMs: 600_000 },
    setting: "chatTtlMs",
    from: 30_000,
    to: 15_000,
    verdicts: ["better", "equivalent", "undecided"],
  },
  {
    what: "neither",
    workload: calm,
    setting: "chatTtlMs",
    from: 30_000,
    to: 60_000,
    verdicts: ["equivalent"],
  },
  {
    what: "silences of 40 s, with room for 3",
    workload: { ...calm, chats: 3, capacity: 3, silences: { everyMs: 1_200_000, forMs: 40_000 } },
    setting: "balancingIntervalMs",
    from: 5_000,
    to: 60_000,
    verdicts: ["equivalent", "undecided"],
  },
  {
    what: "neither, with room for 3",
    workload: { ...calm, chats: 3, capacity: 3, load: 0.9 },
    setting: "balancingIntervalMs",
    from: 5_000,
    to: 1_000,
    verdicts: ["equivalent", "undecided"],
  },
  {
    what: "deaths every 10 min",
    workload: { ...calm, lifeMs: 600_000 },
    setting: "startDeadlineMs",
    from: 30_000,
    to: 10_000,
    verdicts: ["better", "equivalent", "undecided"],
  },
];

it.each(cases)(
  "[EX89] $what, another $setting, case %#: it has its verdict @night",
  ({ what, workload, setting, from, to, verdicts }) => {
    const began = performance.now();
    const compared = compareSettings(openMemory, aRecord(workload), { [setting]: from }, { [setting]: to });
    const seconds = (performance.now() - began) / 1_000;
    const { blocks, verdict, effect, interval, outcomes } = compared;
    const both = (read: (one: typeof outcomes.from) => number): string =>
      `${read(outcomes.from).toFixed(0)} to ${read(outcomes.to).toFixed(0)}`;
    const figures = [
      both((one) => one.meanWaitMs),
      both((one) => one.deadTasks),
      both((one) => one.falseDepartures),
      both((one) => one.redeliveries),
      both((one) => one.operations),
    ];
    const between = `${interval.low.toFixed(0)} to ${interval.high.toFixed(0)}`;
    const cells = [what, `${setting} ${from}`, to, blocks, verdict, effect?.toFixed(0), between, ...figures];
    rows.push(`| ${cells.join(" | ")} | ${seconds.toFixed(1)} |`);
    expect(verdicts).toContain(verdict);
  },
  timeout,
);
