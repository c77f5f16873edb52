import { freemem, totalmem } from "node:os";
import { posix } from "node:path";
import { readText } from "./paths.ts";

export interface MemorySource {
  readonly platform: NodeJS.Platform;
  file(path: string): string | null;
  /** macOS: `kern.memorystatus_level`, the percentage free or freeable; null: unreadable. */
  freePercent(): number | null;
  freeBytes(): number;
  totalBytes(): number;
}

const cgroups = "/sys/fs/cgroup";

/** Share in use, 0 to 1, of the machine or the fullest cgroup (v2); null: unknown. */
export function share(source: MemorySource = systemMemory): number | null {
  const shares = [machineShare(source), ...groupFolders(source).map((folder) => groupShare(source, folder))];
  const known = shares.filter((value) => value !== null);
  return known.length === 0 ? null : Math.min(1, Math.max(0, ...known));
}

/** Reads the widest cgroup that counts, so that a user's chats read the same counter. */
export function oomKills(source: MemorySource = systemMemory): number | null {
  for (const folder of groupFolders(source)) {
    const count = fieldOf(source.file(posix.join(folder, "memory.events")), "oom_kill");
    if (count !== null) return count;
  }
  return null;
}

/** Reads proc_meminfo(5) on Linux. */
function machineShare(source: MemorySource): number | null {
  if (source.platform === "linux") {
    const info = source.file("/proc/meminfo");
    const available = fieldOf(info, "MemAvailable:");
    const total = fieldOf(info, "MemTotal:");
    return available === null || total === null ? null : ratio(total - available, total);
  }
  if (source.platform === "darwin") {
    // os.freemem() leaves out what macOS can free at once: every Mac would seem full.
    const free = source.freePercent();
    return free === null ? null : ratio(100 - free, 100);
  }
  return ratio(source.totalBytes() - source.freeBytes(), source.totalBytes());
}

/** Like Kubernetes, leaves out file cache that can be dropped at once (`inactive_file`). */
function groupShare(source: MemorySource, folder: string): number | null {
  const limit = wholeNumber(source.file(posix.join(folder, "memory.max")));
  const used = wholeNumber(source.file(posix.join(folder, "memory.current")));
  if (limit === null || used === null) return null;
  return ratio(used - (fieldOf(source.file(posix.join(folder, "memory.stat")), "inactive_file") ?? 0), limit);
}

/** Widest first. cgroups(7): the v2 line of /proc/self/cgroup is `0::PATH`. */
function groupFolders(source: MemorySource): string[] {
  const path =
    source.platform === "linux" ? /^0::(\/.*)$/m.exec(source.file("/proc/self/cgroup") ?? "")?.[1] : undefined;
  if (path === undefined) return [];
  // `..` appears when the process was moved out of its namespace; then the path is meaningless.
  const names = path.split("/").filter((name) => name !== "");
  if (names.includes("..")) return [];
  return [cgroups, ...names.map((_, depth) => posix.join(cgroups, ...names.slice(0, depth + 1)))];
}

function fieldOf(text: string | null, name: string): number | null {
  const line = text?.split("\n").find((line) => line.startsWith(name) && /^\s+\d/.test(line.slice(name.length)));
  return line === undefined ? null : Number.parseInt(line.slice(name.length), 10);
}

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d+\s*$/.test(text) ? Number(text) : null;
}

function ratio(used: number, total: number): number | null {
  const share = used / total;
  return Number.isFinite(share) ? share : null;
}

export const systemMemory: MemorySource = {
  platform: process.platform,
  file: readText,
  freePercent() {
    try {
      // Loaded here only: it costs every hook milliseconds, and macOS alone needs it.
      const { execFileSync } = process.getBuiltinModule("node:child_process");
      const answer = execFileSync("/usr/sbin/sysctl", ["-n", "kern.memorystatus_level"], {
        encoding: "utf8",
        timeout: 1_000,
        stdio: ["ignore", "pipe", "ignore"],
      });
      return wholeNumber(answer);
    } catch {
      return null;
    }
  },
  freeBytes: freemem,
  totalBytes: totalmem,
};
