import { isWindowsPath } from "./paths.ts";

/** False for an absolute path of another kind of system, which a transcript may name. */
export function isOfThisSystem(path: string): boolean {
  return isWindowsPath(path) === (process.platform === "win32");
}
