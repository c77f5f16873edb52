import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isRunning } from "./processes.ts";

/** Names that `temporaryBeside` gives. */
export const temporaryNames = /^\..+\.shim-(\d+)\.tmp$/s;

/** Pure. Whether it is, or is in, what SHIM writes before it gets its name. @param path with "/" */
export function isTemporary(path: string): boolean {
  return path.includes(".shim-") && path.split("/").some((name) => temporaryNames.test(name));
}

/** @param ofProcess matches names of what a killed process leaves; its group is the process */
export function removeLeftovers(folder: string, ofProcess: RegExp): void {
  for (const name of namesIn(folder)) {
    const pid = Number(ofProcess.exec(name)?.[1] ?? 0);
    if (pid === 0 || isRunning(pid)) continue;
    try {
      rmSync(join(folder, name), { recursive: true, force: true });
    } catch {
      // Another user's.
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Not there, or not to be read.
    return [];
  }
}
