import { readdirSync, readFileSync } from "node:fs";
import { endAll } from "../platform/end-processes.ts";
import type { ProcessIdentity } from "../platform/processes.ts";

/**
 * A mark in the environment of every program of a task, which all that it starts inherit, also what leaves its group (setsid). Read on Linux only
 * (proc(5), of one's own processes); elsewhere nobody is found.
 */
export const markName = "SHIM_RUN";

/** Whether the environment of another process can be read here. */
export const hasMarks = process.platform === "linux";

/** For what is left behind to end by itself: SHIM's own server saves files for up to five seconds. */
const graceMs = 6_000;

/** Of all that this worker has ever started; that of one program goes on with `-` and the number of its group. */
export function toMark({ pid, start }: ProcessIdentity): string {
  return `${pid}.${start}`;
}

/** [WK14] TERM to all that bear the mark, KILL to who is left 6 s later. Resolves when none is left. */
export async function endMarked(mark: string): Promise<void> {
  await endAll((signal) => signalMarked(mark, signal), graceMs);
}

/** @returns whether there was one */
function signalMarked(mark: string, signal: NodeJS.Signals | 0): boolean {
  const pids = findMarked(mark);
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended in the same moment.
    }
  }
  return pids.length > 0;
}

function findMarked(mark: string): number[] {
  if (!hasMarks) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && hasMark(name, mark))
    .map(Number);
}

function hasMark(pid: string, mark: string): boolean {
  const start = `${markName}=${mark}`;
  return readEnvironment(pid).some((entry) => entry === start || entry.startsWith(`${start}-`));
}

/** Nothing: it has ended, or is another user's. */
function readEnvironment(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}
