import { readdirSync, readlinkSync } from "node:fs";

/** Processes whose working folder is in this one, also after it was removed. */
export function processesIn(folder: string): string[] {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
}
