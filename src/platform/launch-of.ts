import { basename, dirname, join } from "node:path";
import type { Launch } from "./launch.ts";
import { findRealPath } from "./shim-command.ts";

/** @param started a program in dist/, the launcher in bin/ beside it, or a link to either */
export function launchOf(started: string): Launch {
  const folder = dirname(dirname(findRealPath(started) ?? started));
  // The plugin of a clone uses the launcher of the clone.
  const root = basename(folder) === "plugin" ? dirname(folder) : folder;
  const hookScript = join(root, "dist", "hook.cjs");
  const [node = "node"] = process.argv;
  return { node, script: join(root, "bin", "shim.mjs"), hookScript };
}
