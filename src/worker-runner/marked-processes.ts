import { readdirSync, readFileSync } from "node:fs";
import { endAll } from "../platform/process-group.ts";
import type { ProcessIdentity } from "../platform/processes.ts";

/** Inherited by all processes of a task, even outside its group (setsid). */
export const markName = "SHIM_RUN";

export const hasMarks = process.platform === "linux";

/** SHIM's own server saves files for up to five seconds. */
const graceMs = 6_000;

/** One program's mark adds `-` and its group number. */
export function toMark({ pid, start }: ProcessIdentity): string {
  return `${pid}.${start}`;
}

/** [WK60] Resolves when none is left. */
export async function endMarked(mark: string): Promise<void> {
  await endAll((signal) => signalMarked(mark, signal), graceMs);
}

function signalMarked(mark: string, signal: NodeJS.Signals | 0): boolean {
  const pids = findMarked(mark);
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // The process has ended meanwhile.
    }
  }
  return pids.length > 0;
}

function findMarked(mark: string): number[] {
  if (!hasMarks) return [];
  const start = `${markName}=${mark}`;
  const isMarked = (entry: string): boolean => entry === start || entry.startsWith(`${start}-`);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && readEnvironment(name).some(isMarked))
    .map(Number);
}

function readEnvironment(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}
