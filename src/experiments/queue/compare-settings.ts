import { mean, median, quantile, sampleCorrelation, sum } from "simple-statistics";
import type { PairsJudgement, QueueOutcomes, SettingsComparison } from "../../contract/machine/learning.ts";
import type { Settings } from "../../contract/workspaces.ts";
import type { Sql } from "../../shared/sql.ts";
import { judgePairs } from "../exact-tests.ts";
import { type QueueRecord, runQueue, type QueueRun, type TaskRun } from "./run-queue.ts";

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
 */
export function compareSettings(
  openSql: () => Sql,
  record: QueueRecord,
  from: Partial<Settings>,
  to: Partial<Settings>,
  maxBlocks = 200,
): SettingsComparison {
  const scale = scaleOf(record);
  const runs = { from: runQueue(openSql(), record, from), to: runQueue(openSql(), record, to) };
  const outcomes = { from: outcomesOf(runs.from, scale), to: outcomesOf(runs.to, scale) };
  const input = { from: runs.from.tasks, to: runs.to.tasks, record, maxBlocks };
  const { ends, isAnyCut } = cutIntoBlocks(input);
  const differences = differencesOf(input, ends, scale);
  const judged = judgePairs(differences, scale.reach, scale.margin);
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

/** Sums of the blocks, weighed so that their mean is that over all tasks, up to the reach. */
function differencesOf({ from, to }: BlockInput, ends: readonly number[], { reach, bound }: Scale): number[] {
  const lossOf = ({ delayMs }: TaskRun): number => Math.min(delayMs ?? bound, bound);
  const losses = from.map((one, index) => lossOf(to[index] ?? one) - lossOf(one));
  const weight = ends.length / Math.max(1, from.length);
  return ends.map((end, index) => {
    const difference = weight * sum(losses.slice(ends[index - 1] ?? 0, end));
    return Math.min(Math.max(difference, -reach), reach);
  });
}

/** Guards against a shorter wait at a higher price: beyond them a person decides. */
function guarded(
  { verdict }: PairsJudgement,
  { from, to }: SettingsComparison["outcomes"],
): SettingsComparison["verdict"] {
  if (verdict !== "better" && verdict !== "equivalent") return verdict;
  if (to.deadTasks > from.deadTasks) return "undecided";
  const isDearer = to.falseDepartures > from.falseDepartures || to.operations > 2 * from.operations;
  return verdict === "better" && isDearer ? "undecided" : verdict;
}

function outcomesOf({ tasks, ...counts }: QueueRun, { bound }: Scale): QueueOutcomes {
  const waits = tasks.map(({ waitMs }) => waitMs ?? bound);
  const isNone = waits.length === 0;
  return { meanWaitMs: isNone ? 0 : mean(waits), p95WaitMs: isNone ? 0 : quantile(waits, 0.95), ...counts };
}

/** Tasks of one moment share what happens to a chat. */
const minTasks = 5;
/** A block has at most this share of the tasks, if the two runs are never alike. */
const largestShare = 1 / 25;

interface Blocks {
  /** Indexes of tasks. */
  readonly ends: readonly number[];
  /** Some block has ended while the two runs were not alike. */
  readonly isAnyCut: boolean;
}

interface BlockInput {
  readonly from: readonly TaskRun[];
  readonly to: readonly TaskRun[];
  readonly record: QueueRecord;
  readonly maxBlocks: number;
}

/**
 * [EX87] A block ends where each task that fared differently has ended under both settings: the
 * runs are alike again, and owe nothing to the block. Where they never are, a long block also ends
 * after a silence or a death of its own, so that one event is never the evidence of many blocks.
 */
function cutIntoBlocks({ from, to, record: { chats }, maxBlocks }: BlockInput): Blocks {
  const least = Math.max(minTasks, Math.ceil(from.length / Math.max(1, maxBlocks)));
  const most = Math.max(least, Math.ceil(from.length * largestShare));
  const events = chats.flatMap(({ silences, untilMs }) => [...silences.map(({ atMs }) => atMs), untilMs ?? Infinity]);
  const ends: number[] = [];
  let [start, startMs, alikeFromMs, isAnyCut] = [0, from[0]?.atMs ?? 0, 0, false];
  for (const [index, task] of from.entries()) {
    const isAlike = task.atMs >= alikeFromMs;
    const other = to[index] ?? task;
    if (task.waitMs !== other.waitMs || task.delayMs !== other.delayMs)
      alikeFromMs = Math.max(alikeFromMs, task.endMs, other.endMs);
    const size = index - start;
    const hasEvent = (): boolean => events.some((atMs) => atMs >= startMs && atMs < task.atMs);
    if (isAlike ? size < least : size < most || !hasEvent()) continue;
    ends.push(index);
    isAnyCut ||= !isAlike;
    [start, startMs] = [index, task.atMs];
  }
  // A rest that is shorter than a block belongs to the last one.
  if (from.length - start < least) ends.pop();
  return { ends: from.length === 0 ? [] : [...ends, from.length], isAnyCut };
}

/** Whether neighbours are correlated by more than two standard errors: a backlog reaches far. */
function areCorrelated(values: readonly number[]): boolean {
  const [first, second] = [values.slice(0, -1), values.slice(1)];
  return values.length > 2 && sampleCorrelation(first, second) > 2 / Math.sqrt(values.length);
}
