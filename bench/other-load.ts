import { readdirSync, readFileSync } from "node:fs";

/** A process at a moment. Times in ms of processor. */
export interface ProcessTime {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly ms: number;
  /** Of its children that it has waited for. */
  readonly childrenMs: number;
  /** It has the folder of this bench in its environment. */
  readonly isOfBench: boolean;
}

export type ProcessTimes = ReadonlyMap<number, ProcessTime>;

/** What other processes may use, in processors: a clock, a shell that waits, a monitor. */
export const mostOthers = 0.05;

export interface OtherLoad {
  /** In processors. */
  readonly share: number;
  /** The process that used most, and how much. */
  readonly most: string;
}

/**
 * The processor time between two moments of processes that are no part of the bench: neither below `self` nor marked. Those
 * above it count without their children, of which the bench is one. A process that began and ended in between counts with
 * its parent.
 *
 * @param forMs between the two moments
 */
export function otherLoad(before: ProcessTimes, after: ProcessTimes, self: number, forMs: number): OtherLoad {
  const above = new Set(lineOf(after, self).slice(1));
  const used = [...after.values()]
    .filter(({ pid }) => !lineOf(after, pid).some((each) => each === self || after.get(each)?.isOfBench === true))
    .map(({ pid, name, ms, childrenMs }) => {
      const then = before.get(pid);
      const own = ms - (then?.ms ?? 0);
      const children = above.has(pid) ? 0 : childrenMs - (then?.childrenMs ?? 0);
      return { text: `${name} (${pid})`, share: Math.max(0, own + children) / forMs };
    })
    .toSorted((a, b) => b.share - a.share);
  const [first] = used;
  const share = used.reduce((total, each) => total + each.share, 0);
  return { share, most: first === undefined ? "" : `${first.text} ${first.share.toFixed(2)}` };
}

/** A process and those above it. */
function lineOf(processes: ProcessTimes, pid: number): number[] {
  const line: number[] = [];
  for (let one = processes.get(pid); one && !line.includes(one.pid); one = processes.get(one.parent))
    line.push(one.pid);
  return line;
}

/** Of the kernel's clock ticks, proc(5): 100 a second in all of Linux. */
const msOfTick = 10;

/** All living processes but the kernel's, proc(5). @param mark text in the environment of those of the bench */
export function processTimes(mark: string): ProcessTimes {
  const found = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [processTime(Number(name), mark)] : []));
  return new Map(found.flatMap((one) => (one === null ? [] : [[one.pid, one]])));
}

/** Null: it has ended, also where its parent has not noticed yet, or is one of the kernel's. */
function processTime(pid: number, mark: string): ProcessTime | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const end = stat.lastIndexOf(")");
    const fields = stat.slice(end + 2).split(" ");
    const ticks = (...at: number[]): number => at.reduce((sum, each) => sum + Number(fields[each]), 0) * msOfTick;
    const parent = Number(fields[1]);
    const name = stat.slice(stat.indexOf("(") + 1, end);
    const isKernel = pid === 2 || parent === 2;
    return isKernel || fields[0] === "Z"
      ? null
      : { pid, parent, name, ms: ticks(11, 12), childrenMs: ticks(13, 14), isOfBench: isMarked(pid, mark) };
  } catch {
    return null;
  }
}

function isMarked(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark);
  } catch {
    // Another user's.
    return false;
  }
}
