import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { codeOf } from "../shared/error.ts";

/**
 * A process that cannot be confused with a later one of the same number: the machine's boot, the pid and when it started.
 * `start` is opaque and only compared (clock ticks since boot on Linux, a date elsewhere).
 */
export interface ProcessIdentity {
  readonly boot: string;
  readonly pid: number;
  readonly start: string;
}

export interface ProcessFacts {
  readonly parent: number;
  readonly start: string;
  readonly command: string;
  /** Resident memory in bytes; null where it cannot be read. */
  readonly residentBytes: number | null;
}

export interface Processes {
  /** Null when there is no such process. */
  facts(pid: number): ProcessFacts | null;
  boot(): string;
}

export function identify(processes: Processes, pid: number): ProcessIdentity | null {
  const facts = processes.facts(pid);
  return facts ? { boot: processes.boot(), pid, start: facts.start } : null;
}

/**
 * [ID12] The client that started this process: its parent, or behind a launcher the launcher's parent, as the launcher says. What a process
 * further up has left in the environment is not believed.
 */
export function clientPidOf(processes: Processes, env: NodeJS.ProcessEnv, parent: number): number {
  const statedPid = Number(env["SHIM_CLIENT_PID"]);
  return statedPid > 0 && processes.facts(parent)?.parent === statedPid ? statedPid : parent;
}

/** Wrappers between a client and what it starts: `npx` alone makes three processes. */
const maxWrappers = 10;

/** Whether the process stands below the other one, directly or behind wrappers (`sh -c`, `npx`). */
export function isDescendant(processes: Processes, pid: number, ancestor: ProcessIdentity): boolean {
  if (!isAlive(processes, ancestor)) return false;
  let next = processes.facts(pid)?.parent ?? 0;
  for (let steps = 0; next > 1 && steps < maxWrappers; steps++) {
    if (next === ancestor.pid) return true;
    next = processes.facts(next)?.parent ?? 0;
  }
  return false;
}

/** [ID1] A reused pid is not alive: boot, pid and start must all match. */
export function isAlive(processes: Processes, identity: ProcessIdentity): boolean {
  if (identity.boot !== processes.boot()) return false;
  const start = processes.facts(identity.pid)?.start;
  return start === identity.start || start === unknownStart;
}

/** Where a process is there but its start could not be read: better a dead one taken for alive than the other way round. */
export const unknownStart = "?";

/**
 * [ID13] A process of this boot that cannot be seen from here: it runs in another pid namespace (a container that shares the home), where its number
 * means another process or none.
 */
export function isInOtherNamespace(processes: Processes, { boot }: ProcessIdentity): boolean {
  const here = processes.boot();
  return boot !== here && boot.split(" ")[0] === here.split(" ")[0];
}

/** What cannot be seen from here counts as alive. */
export function mayBeAlive(processes: Processes, owner: ProcessIdentity): boolean {
  return isInOtherNamespace(processes, owner) || isAlive(processes, owner);
}

export const systemProcesses: Processes =
  process.platform === "linux" ? linuxProcesses() : portableProcesses(process.platform);

/** proc(5): field 22 of /proc/PID/stat is the start time in ticks since boot; the command (field 2) may hold blanks and brackets. */
export function linuxProcesses(): Processes {
  let boot: string | undefined;
  return {
    boot: () => (boot ??= `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${pidNamespace()}`),
    facts(pid) {
      let stat: string;
      try {
        stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      } catch {
        return null;
      }
      const openParen = stat.indexOf("(");
      const close = stat.lastIndexOf(")");
      const fields = stat.slice(close + 2).split(" ");
      if (fields[0] === "Z" || fields[0] === "X") return null;
      return {
        command: stat.slice(openParen + 1, close),
        parent: Number(fields[1]),
        start: fields[19] ?? "",
        residentBytes: Number(fields[21]) * 4096,
      };
    },
  };
}

/** pid_namespaces(7); containers have their own. */
function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/** macOS and other Unixes by ps(1); Windows can only tell that a pid exists, so a reused pid is not seen there. */
export function portableProcesses(platform: NodeJS.Platform): Processes {
  return {
    boot: () => "unknown",
    facts(pid) {
      const found = signalFacts(pid);
      return platform === "win32" || !found ? found : psFacts(pid, found);
    },
  };
}

function psFacts(pid: number, basicFacts: ProcessFacts): ProcessFacts | null {
  try {
    const psLine = execFileSync("ps", ["-o", "ppid=,rss=,lstart=,comm=", "-p", String(pid)], {
      encoding: "utf8",
      timeout: 2_000,
      stdio: ["ignore", "pipe", "ignore"],
      // The date must be the same text in whatever language and zone the asking process runs.
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
    });
    const [, parent, rss, start, command] =
      /^\s*(\d+)\s+(\d+)\s+(\w+\s+\w+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/m.exec(psLine) ?? [];
    if (!parent || !start) return null;
    return { parent: Number(parent), residentBytes: Number(rss) * 1024, start, command: command ?? "" };
  } catch (error) {
    // Only ps itself may say that there is none; a slow or missing ps says nothing.
    const isGone = error instanceof Error && "status" in error && error.status === 1;
    return isGone ? null : { ...basicFacts, start: unknownStart };
  }
}

/** What the system tells everywhere: that there is a process of this number. */
function signalFacts(pid: number): ProcessFacts | null {
  const facts = { parent: 0, start: "unknown", command: "", residentBytes: null };
  try {
    process.kill(pid, 0);
    return facts;
  } catch (error) {
    // There, but another user's.
    return codeOf(error) === "EPERM" ? facts : null;
  }
}
