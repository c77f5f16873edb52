import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { codeOf } from "../../shared/error.ts";
import type { Processes } from "../../platform/processes.ts";
import { codexLockFile } from "./client-transcripts.ts";

/** A client's lock that stops a session from being continued. */
export interface BlockingLock {
  readonly path: string;
  /** The process that holds it; null: none that can be seen. */
  readonly holder: { readonly pid: number; readonly command: string } | null;
  /** Why the client cannot open it, as the system names it; null: it is held. */
  readonly code: string | null;
}

/**
 * [RS4] Codex holds a file while it writes a session. The kernel frees it with its process, so a
 * file that no process holds blocks nothing, unless Codex cannot open it.
 *
 * @returns null: nothing is in the way
 */
export function blockingLock(
  { env, processes }: { readonly env: NodeJS.ProcessEnv; readonly processes: Processes },
  { id, client }: { readonly id: string; readonly client: string },
): BlockingLock | null {
  if (client !== "codex") return null;
  const path = codexLockFile(env, id);
  const inode = statSync(path, { throwIfNoEntry: false })?.ino;
  if (inode === undefined) return null;
  const pid = holderOf(path, inode);
  if (pid !== null) return { path, holder: { pid, command: processes.facts(pid)?.command ?? "unknown" }, code: null };
  const code = openProblem(path);
  return code === null ? null : { path, holder: null, code };
}

/** [RS4] @returns the backup: the lock under another name beside it */
export function setLockAside(path: string, now: number): string {
  const backup = `${path}.before-rescue-${now}`;
  renameSync(path, backup);
  return backup;
}

function openProblem(path: string): string | null {
  try {
    closeSync(openSync(path, "r+"));
    return null;
  } catch (error) {
    return codeOf(error) ?? "unknown";
  }
}

/** proc(5): `1: FLOCK ADVISORY WRITE 4711 fe:00:3302713 0 EOF`. */
function holderOf(path: string, inode: number): number | null {
  if (process.platform === "win32") return null;
  if (process.platform !== "linux") return holderByLsof(path);
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
