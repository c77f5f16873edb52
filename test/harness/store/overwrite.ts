import { closeSync, openSync, writeSync } from "node:fs";
import { codeOf } from "#src/shared/error.ts";
import type { Paths } from "#src/platform/paths.ts";

/** Never while this process has the file open: closing it here would drop this process's locks. */
export function overwrite(paths: Paths, at: number, bytes: number): void {
  const file = openedOrGone(paths.database);
  if (file === null) return;
  writeSync(file, Buffer.alloc(bytes, 0xa5), 0, bytes, at);
  closeSync(file);
}

/** Null in the middle of a swap, when nothing has the name. */
function openedOrGone(path: string): number | null {
  try {
    return openSync(path, "r+");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}
