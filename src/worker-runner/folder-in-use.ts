import { readdirSync, readlinkSync } from "node:fs";
import { sep } from "node:path";

/** Linux only (proc(5)); false elsewhere. Covers the user's own processes. */
export function isFolderInUse(folder: string): boolean {
  if (process.platform !== "linux") return false;
  return readdirSync("/proc").some((name) => {
    const workingFolder = /^\d+$/.test(name) ? readWorkingFolder(name) : null;
    return workingFolder === folder || workingFolder?.startsWith(`${folder}${sep}`) === true;
  });
}

function readWorkingFolder(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}
