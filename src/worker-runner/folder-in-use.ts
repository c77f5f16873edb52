import { readdirSync, readlinkSync } from "node:fs";
import { sep } from "node:path";

/** Whether a process of this user has its working folder there, or below. Linux only (proc(5)); elsewhere none is found. */
export function isFolderInUse(folder: string): boolean {
  if (process.platform !== "linux") return false;
  return readdirSync("/proc").some((name) => {
    const workingFolder = /^\d+$/.test(name) ? readWorkingFolder(name) : null;
    return workingFolder === folder || workingFolder?.startsWith(`${folder}${sep}`) === true;
  });
}

/** Null: it has ended, or is another user's. */
function readWorkingFolder(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}
