import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { markedHost } from "#src/platform/host-socket.ts";
import { identify, systemProcesses, type ProcessIdentity } from "#src/platform/processes.ts";

export function familyOf(pid: number): ProcessIdentity[] {
  const below = (one: number): number[] => [one, ...childrenOf(one).flatMap((child) => below(child.pid))];
  return below(pid).flatMap((one) => identify(systemProcesses, one) ?? []);
}

/** kill -9 of each that still runs: the death of one may have ended another already. */
export function killEvery(processes: Iterable<{ pid: number }>): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** kill -9 of each, until the kernel has closed their files, and so has freed their locks and sockets. */
export async function killed(processes: readonly { pid: number }[]): Promise<void> {
  killEvery(processes);
  while (processes.some(({ pid }) => hasFiles(pid))) await pause(1);
}

/** The last of its threads closes them; what is left is a zombie, which its parent may reap late. */
function hasFiles(pid: number): boolean {
  const threads = unlessGone(() => readdirSync(`/proc/${pid}/task`), []);
  return threads.length > 1 || systemProcesses.facts(pid) !== null;
}

/** A process may end, and its files with it, before it is read. */
export function unlessGone<T, U>(read: () => T, otherwise: U): T | U {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

export const readOrNull = (path: string): string | null => unlessGone(() => readFileSync(path, "utf8"), null);

export type Child = Readonly<{ pid: number; command: readonly string[] }>;

export function commandOf(pid: string): string[] {
  return readOrNull(`/proc/${pid}/cmdline`)?.split("\0").slice(0, -1) ?? [];
}

/** The living children of a process and what they were started with: hooks and MCP servers are children of Claude Code. Linux only. */
export function childrenOf(pid: number): Child[] {
  return unlessGone(() => readdirSync(`/proc/${pid}/task`), [])
    .flatMap((thread) => readOrNull(`/proc/${pid}/task/${thread}/children`)?.split(" ") ?? [])
    .filter((child) => child !== "")
    .map((child) => ({ pid: Number(child), command: commandOf(child) }));
}

export function processesIn(folder: string): string[] {
  const isIn = (name: string): boolean => readlinkSync(`/proc/${name}/cwd`).startsWith(folder);
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && unlessGone(() => isIn(name), false));
}

/** The hosts of a home: one, but for the moment in which one takes the place of another. */
export function hostsOf(home: string): ProcessIdentity[] {
  const pids = processesIn(home).filter((pid) => commandOf(pid).join(" ").includes("mcp-host"));
  return pids.flatMap((pid) => identify(systemProcesses, Number(pid)) ?? []);
}

/** Ends every host of a home, also one that starts or that has found the lock taken. */
export const killHosts = (home: string): Promise<void> => killed(hostsOf(home));

/** The host that serves a home, as it has marked itself: what else {@link hostsOf} finds may start, or end. */
export function servingHost(home: string): ProcessIdentity {
  const host = markedHost(home, systemProcesses.boot());
  if (!host) throw new Error(`no host serves ${home}`);
  return host;
}
