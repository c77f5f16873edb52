import type { QueueRecord } from "./queue-record.ts";
import type { TaskRun } from "./run-queue.ts";

/** Tasks of one moment share what happens to a chat. */
const minTasks = 5;
/** A block has at most this share of the tasks, if the two runs are never alike. */
const largestShare = 1 / 25;

export interface Blocks {
  /** Indexes of tasks. */
  readonly ends: readonly number[];
  /** Some block has ended while the two runs were not alike. */
  readonly isAnyCut: boolean;
}

export interface BlockInput {
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
export function cutIntoBlocks({ from, to, record, maxBlocks }: BlockInput): Blocks {
  const least = Math.max(minTasks, Math.ceil(from.length / Math.max(1, maxBlocks)));
  const most = Math.max(least, Math.ceil(from.length * largestShare));
  const events = countEvents(record, from);
  const ends: number[] = [];
  let start = 0;
  let isAnyCut = false;
  for (const [index, isAlike] of listAlike(from, to).entries()) {
    const hasEvent = (events[index] ?? 0) > (events[start] ?? 0);
    const size = index - start;
    if (isAlike ? size < least : size < most || !hasEvent) continue;
    ends.push(index);
    isAnyCut ||= !isAlike;
    start = index;
  }
  return { ends: closed(ends, from.length, least), isAnyCut };
}

/** A rest that is shorter than a block belongs to the last one. */
function closed(ends: readonly number[], count: number, least: number): number[] {
  if (count === 0) return [];
  const isShort = count - (ends.at(-1) ?? 0) < least;
  return [...(isShort ? ends.slice(0, -1) : ends), count];
}

/** Whether the two runs are alike when each of the tasks is submitted. */
function listAlike(from: readonly TaskRun[], to: readonly TaskRun[]): boolean[] {
  let alikeFrom = 0;
  return from.map((task, index) => {
    const isAlike = task.atMs >= alikeFrom;
    const other = to[index] ?? task;
    if (!faredAlike(task, other)) alikeFrom = Math.max(alikeFrom, task.endMs, other.endMs);
    return isAlike;
  });
}

function faredAlike(one: TaskRun, other: TaskRun): boolean {
  return one.waitMs === other.waitMs && one.delayMs === other.delayMs;
}

/** Silences and deaths before each of the tasks. */
function countEvents({ chats }: QueueRecord, tasks: readonly TaskRun[]): number[] {
  const times = chats
    .flatMap(({ silences, untilMs }) => [...silences.map(({ atMs }) => atMs), untilMs ?? Infinity])
    .toSorted((a, b) => a - b);
  let count = 0;
  return tasks.map(({ atMs }) => {
    while ((times[count] ?? Infinity) < atMs) count += 1;
    return count;
  });
}

/** Whether neighbours are correlated by more than two standard errors: a backlog reaches far. */
export function areCorrelated(values: readonly number[]): boolean {
  const mean = values.reduce((sum, one) => sum + one, 0) / Math.max(1, values.length);
  const deviations = values.map((one) => one - mean);
  const variance = deviations.reduce((sum, one) => sum + one ** 2, 0);
  const shared = deviations.reduce((sum, one, index) => sum + one * (deviations[index - 1] ?? 0), 0);
  return shared > (2 / Math.sqrt(values.length)) * variance;
}
