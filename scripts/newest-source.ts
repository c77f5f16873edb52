import { globSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * The time of a build, epoch ms: all copies of a build have it, and the newest of two hosts serves.
 * Unchanged sources make an unchanged bundle.
 */
export function newestSource(root: string): number {
  const paths = globSync("src/**/*.{ts,tsx,sh}", { cwd: root });
  return Math.max(...paths.map((path) => Math.floor(statSync(join(root, path)).mtimeMs)));
}
