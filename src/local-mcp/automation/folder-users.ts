import { readdirSync, readlinkSync } from "node:fs";
import { sep } from "node:path";

/**
 * Whether some process stands in the folder, or below it. Known on Linux only (proc(5), and of one's own processes); elsewhere nobody is seen.
 */
export function isSomebodyIn(folder: string): boolean {
  if (process.platform !== "linux") return false;
  return readdirSync("/proc").some((name) => {
    const place = /^\d+$/.test(name) ? placeOf(name) : null;
    return place === folder || place?.startsWith(`${folder}${sep}`) === true;
  });
}

/** Null: it has ended, or is another user's. */
function placeOf(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}
