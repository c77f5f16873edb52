import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { codeOf } from "../../../shared/error.ts";

/** Process that holds a lock on a file. @returns null: none, or none that can be seen */
export function holderOf(path: string): number | null {
  const inode = statSync(path).ino;
  if (process.platform === "win32") return null;
  if (process.platform !== "linux") return holderByLsof(path);
  // proc(5): `1: FLOCK ADVISORY WRITE 4711 fe:00:3302713 0 EOF`.
  const line = readFileSync("/proc/locks", "utf8")
    .split("\n")
    .map((one) => one.trim().split(/\s+/))
    .find((words) => words.some((word) => word.endsWith(`:${inode}`)));
  const pid = Number(line?.[4]);
  return Number.isInteger(pid) && pid > 0 ? pid : null;
}

function holderByLsof(path: string): number | null {
  try {
    const pid = Number.parseInt(execFileSync("lsof", ["-t", "--", path], { encoding: "utf8", timeout: 5_000 }), 10);
    return pid > 0 ? pid : null;
  } catch {
    // Exit code 1: no process has the file open.
    return null;
  }
}

/** @returns why a file cannot be opened for writing, as the system names it; null: it can */
export function openProblem(path: string): string | null {
  try {
    closeSync(openSync(path, "r+"));
    return null;
  } catch (error) {
    return codeOf(error) ?? "unknown";
  }
}

/** @returns its new name */
export function setAside(path: string, now: number): string {
  const backup = `${path}.before-rescue-${now}`;
  renameSync(path, backup);
  return backup;
}
