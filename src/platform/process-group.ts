import { readdirSync, readFileSync } from "node:fs";
import { codeOf } from "../shared/error.ts";
import { endAll } from "./end-processes.ts";
import { identify, systemProcesses, unknownStart, type ProcessIdentity } from "./processes.ts";

/** A group of processes, by the one that has begun it. On Windows there are no groups: there it is that one alone. */
export type ProcessGroup = ProcessIdentity;

export const hasGroups = process.platform !== "win32";

/** @param pid of a process that was just started as the first of its group */
export function groupOf(pid: number): ProcessGroup {
  // It may have ended by now; its group may not.
  return identify(systemProcesses, pid) ?? { boot: systemProcesses.boot(), pid, start: unknownStart };
}

/** TERM to all of them, before it INT where it is given time, KILL to who is left after so many ms. Resolves when none is left. */
export async function endGroup(group: ProcessGroup, graceMs: number, interruptMs = 0): Promise<void> {
  await endAll((signal) => sendSignal(group, signal), graceMs, interruptMs);
}

/** @returns false: there is no such process any more */
function sendSignal(group: ProcessGroup, signal: NodeJS.Signals | 0): boolean {
  if (isReusedPid(group)) return false;
  try {
    process.kill(hasGroups ? -group.pid : group.pid, signal);
    return signal !== 0 || !isDead(group);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** The number was given away again, which the kernel does not do while one of the group is there. */
function isReusedPid({ pid, start }: ProcessGroup): boolean {
  const found = systemProcesses.facts(pid)?.start;
  return found !== undefined && start !== unknownStart && found !== unknownStart && found !== start;
}

/**
 * All that is left of it are zombies, which a signal still reaches: where nobody takes note of the end of orphans (a container without an init) they stay
 * for ever. Read on Linux only. The first of a group lives as a rule, and then the others are not looked for.
 */
function isDead({ pid }: ProcessGroup): boolean {
  if (process.platform !== "linux" || groupStates([String(pid)], pid).some(isRunningState)) return false;
  const states = groupStates(
    readdirSync("/proc").filter((name) => /^\d+$/.test(name)),
    pid,
  );
  return states.length > 0 && !states.some(isRunningState);
}

function isRunningState(state: string): boolean {
  return state !== "Z" && state !== "X";
}

/** proc(5): behind the command, which may hold blanks and brackets, stand state, parent and group. */
function groupStates(pids: readonly string[], group: number): string[] {
  return pids.flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [state = "", , of] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(of) === group ? [state] : [];
    } catch {
      // It has ended in the same moment.
      return [];
    }
  });
}
