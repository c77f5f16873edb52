import { rmSync } from "node:fs";
import { join } from "node:path";
import { namesIn } from "./paths.ts";
import { isRunning } from "./processes.ts";

/** Names that `temporaryBeside` gives. */
export const temporaryNames = /^\..+\.shim-(\d+)\.tmp$/s;

/** Names of folders in a project with files that are about to change. */
export const stagingNames = /^\.shim-undo-(\d+)-/;

/** Pure. Whether it is, or is in, what SHIM writes before it gets its name. @param path with "/" */
export function isTemporary(path: string): boolean {
  if (!path.includes(".shim-")) return false;
  return path.split("/").some((name) => temporaryNames.test(name) || stagingNames.test(name));
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
