import { mean, median, quantile, sum } from "simple-statistics";
import type { QueueOutcomes, SettingsComparison } from "../../contract/machine/replay.ts";
import type { Settings } from "../../contract/workspaces.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Judgement, Verdict } from "../statistics/effect.ts";
import { judgeDifferences } from "../statistics/paired.ts";
import { areCorrelated, cutIntoBlocks, type BlockInput } from "./blocks.ts";
import type { QueueRecord } from "./queue-record.ts";
import { runQueue, type QueueRun, type TaskRun } from "./run-queue.ts";
import { seededRandom } from "../../shared/seeded-random.ts";

export interface CompareOptions {
  readonly seed: number;
  readonly maxBlocks?: number;
}

const defaultMaxBlocks = 200;

/** Follow from the running times alone, so they are fixed before anything is run. */
interface Scale {
  /** Mean losses that differ by at most this make no difference that matters. */
  readonly margin: number;
  /** The difference of a block counts at most as this. */
  readonly reach: number;
  /** The loss of a task is at most this; a dead task's is this. */
  readonly bound: number;
}

/**
 * [EX85] The shipped engine runs the record under both settings, with the same arrivals, running
 * times, failures, silences and deaths.
 *
 * @param openSql an empty database at each call
 * @param options the seed decides in which order blocks are observed
 */
export function compareSettings(
  openSql: () => Sql,
  record: QueueRecord,
  from: Partial<Settings>,
  to: Partial<Settings>,
  { seed, maxBlocks = defaultMaxBlocks }: CompareOptions,
): SettingsComparison {
  const scale = scaleOf(record);
  const runs = { from: runQueue(openSql(), record, from), to: runQueue(openSql(), record, to) };
  const outcomes = { from: outcomesOf(runs.from, scale), to: outcomesOf(runs.to, scale) };
  const input = { from: runs.from.tasks, to: runs.to.tasks, record, maxBlocks };
  const { ends, isAnyCut } = cutIntoBlocks(input);
  const differences = differencesOf(input, ends, scale);
  const judged = judgeDifferences(shuffled(differences, seed), scale.reach, scale.margin);
  const { effect, interval } = judged;
  const verdict = isAnyCut && areCorrelated(differences) ? "undecided" : guarded(judged, outcomes);
  return { blocks: differences.length, verdict, effect, interval, outcomes };
}

/** [EX86] A twentieth of what a task takes matters, and nothing below a second. */
function scaleOf({ tasks }: QueueRecord): Scale {
  const typicalMs = tasks.length === 0 ? 0 : median(tasks.map(({ runMs }) => runMs));
  const margin = Math.max(1_000, typicalMs / 20);
  return { margin, reach: 12 * margin, bound: Math.max(600_000, 10 * typicalMs) };
}

function lossOf({ delayMs }: TaskRun, { bound }: Scale): number {
  return Math.min(delayMs ?? bound, bound);
}

/** Sums of the blocks, weighed so that their mean is that over all tasks, up to the reach. */
function differencesOf({ from, to }: BlockInput, ends: readonly number[], scale: Scale): number[] {
  const losses = from.map((one, index) => lossOf(to[index] ?? one, scale) - lossOf(one, scale));
  const weight = ends.length / Math.max(1, from.length);
  return ends.map((end, index) => {
    const difference = weight * sum(losses.slice(ends[index - 1] ?? 0, end));
    return Math.min(Math.max(difference, -scale.reach), scale.reach);
  });
}

/** Guards against a shorter wait at a higher price: beyond them a person decides. */
function guarded({ verdict }: Judgement, { from, to }: SettingsComparison["outcomes"]): Verdict {
  if (verdict !== "better" && verdict !== "equivalent") return verdict;
  if (to.deadTasks > from.deadTasks) return "undecided";
  const isDearer = to.falseDepartures > from.falseDepartures || to.operations > 2 * from.operations;
  return verdict === "better" && isDearer ? "undecided" : verdict;
}

function outcomesOf(run: QueueRun, { bound }: Scale): QueueOutcomes {
  const waits = run.tasks.map(({ waitMs }) => waitMs ?? bound);
  const { deadTasks, falseDepartures, redeliveries, operations } = run;
  return {
    meanWaitMs: waits.length === 0 ? 0 : mean(waits),
    p95WaitMs: waits.length === 0 ? 0 : quantile(waits, 0.95),
    deadTasks,
    falseDepartures,
    redeliveries,
    operations,
  };
}

/** The record's order would let a trend decide when a bet is placed. */
function shuffled(values: readonly number[], seed: number): number[] {
  const random = seededRandom(seed);
  return values
    .map((value) => ({ value, key: random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
