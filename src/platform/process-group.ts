import { readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { codeOf } from "../shared/error.ts";
import { identify, isSameProcess, systemProcesses, unknownStart, type ProcessIdentity } from "./processes.ts";

type SendSignal = (signal: NodeJS.Signals | 0) => boolean;

const pollIntervalMs = 50;
/** A killed process can wait for a disk, or stay a zombie. */
const maxKillMs = 2_000;

/** Identified by its first process; on Windows, which has no groups, only that process. */
export type ProcessGroup = ProcessIdentity;

export const hasGroups = process.platform !== "win32";

export function groupOf(pid: number): ProcessGroup {
  // The process may have ended by now; its group may not.
  return identify(systemProcesses, pid) ?? { boot: systemProcesses.boot(), pid, start: unknownStart };
}

/** `interrupt` replaces INT where it returns true. */
export async function endGroup(
  group: ProcessGroup,
  graceMs: number,
  interruptMs = 0,
  interrupt: () => boolean = () => false,
): Promise<void> {
  const send: SendSignal = (signal) => (signal === "SIGINT" && interrupt()) || sendSignal(group, signal);
  await endAll(send, graceMs, interruptMs);
}

function sendSignal(group: ProcessGroup, signal: NodeJS.Signals | 0): boolean {
  // The kernel does not reuse a pid while its group exists.
  const found = identify(systemProcesses, group.pid);
  if (found && !isSameProcess(found, group)) return false;
  try {
    process.kill(hasGroups ? -group.pid : group.pid, signal);
    return signal !== 0 || !isDead(group);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

/** Whether only zombies are left, which signals still reach. Linux only. */
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

/** proc(5): state, parent and group follow the command, which may hold blanks and brackets. */
function groupStates(pids: readonly string[], group: number): string[] {
  return pids.flatMap((pid) => {
    const stat = readProc(pid, "stat");
    const [state = "", , of] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(of) === group ? [state] : [];
  });
}

/** Empty for a process that has ended. */
function readProc(pid: string, file: "stat" | "status"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** Resident bytes of the largest process of a group. Linux only: 0 elsewhere. */
export function largestProcess(group: number): number {
  if (process.platform !== "linux") return 0;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && groupStates([name], group).length > 0);
  // proc(5)
  const sizes = pids.map((pid) => Number(/^VmRSS:\s*(\d+) kB$/m.exec(readProc(pid, "status"))?.[1] ?? 0));
  return 1_024 * Math.max(0, ...sizes);
}

/** Sends INT (if `interruptMs` > 0), TERM, then KILL. Resolves when no process is left. */
export async function endAll(sendSignal: SendSignal, graceMs: number, interruptMs = 0): Promise<void> {
  const isGone = (): boolean => !sendSignal(0);
  if (interruptMs > 0 && sendSignal("SIGINT") && (await pollUntil(isGone, interruptMs))) return;
  if (!sendSignal("SIGTERM") || (await pollUntil(isGone, graceMs))) return;
  sendSignal("SIGKILL");
  await pollUntil(isGone, maxKillMs);
}

export async function pollUntil(condition: () => boolean, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    await pause(pollIntervalMs);
    if (condition()) return true;
  }
  return false;
}

/** 128 plus the number of the signal, for a process ended by one. */
export function exitCode(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal ? constants.signals[signal] : 0);
}
