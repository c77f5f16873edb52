import { execFileSync } from "node:child_process";
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, renameSync, statSync } from "node:fs";
import { codeOf } from "../../shared/error.ts";
import { parseObject } from "../../shared/json-fields.ts";

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

/** @returns what the file is not, though its name says so; null: its start is that of one */
export function defectOf(path: string): { readonly path: string; readonly isNo: string } | null {
  const isWhole = path.endsWith(".json") ? parseObject(readFileSync(path, "utf8")) !== null : isDatabase(path);
  return isWhole ? null : { path, isNo: path.endsWith(".json") ? "JSON" : "whole SQLite database" };
}

function isDatabase(path: string): boolean {
  const start = Buffer.alloc(100);
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    // SQLite takes an empty file for a new database.
    if (size === 0) return true;
    if (readSync(file, start) < 100 || !start.toString("latin1").startsWith("SQLite format 3\0")) return false;
    // sqlite.org/fileformat2.html, 1.3: the number of pages counts where both counters agree.
    const pageBytes = start.readUInt16BE(16) === 1 ? 65_536 : start.readUInt16BE(16);
    const isCounted = start.readUInt32BE(24) === start.readUInt32BE(92);
    return !isCounted || start.readUInt32BE(28) * pageBytes <= size;
  } finally {
    closeSync(file);
  }
}

/** [RS4] Renames files, and what SQLite keeps beside a database. @returns their new names */
export function setAside(paths: readonly string[], now: number): string[] {
  const all = paths.flatMap((path) => [path, ...[`${path}-wal`, `${path}-shm`].filter((one) => existsSync(one))]);
  return all.map((path) => {
    const backup = `${path}.before-rescue-${now}`;
    renameSync(path, backup);
    return backup;
  });
}
