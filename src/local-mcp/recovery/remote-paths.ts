import { join } from "node:path";
import type { FileNote } from "../../contract/work-state.ts";

/** Pure: where the files of another machine's project stand in the same project here. */

export interface Roots {
  /** Root of the project there; null: it had none. */
  readonly there: string | null;
  /** The same here; null: there is none. */
  readonly here: string | null;
}

/**
 * [RE21] Only what is below the root there has a place here, below the root here. Either separator counts, since the other machine may run
 * Windows.
 *
 * @returns null: it has none
 */
export function mapPath(path: string, { there, here }: Roots): string | null {
  if (there === null || here === null) return null;
  const root = there.replace(/[/\\]+$/, "");
  const rest = path.slice(root.length);
  if (root === "" || !path.startsWith(root) || !/^[/\\]/.test(rest)) return null;
  const parts = rest.split(isWindows(root) ? /[/\\]+/ : /\/+/).filter((part) => part !== "");
  if (parts.length === 0 || parts.some((part) => part === "." || part === "..")) return null;
  return join(here, ...parts);
}

/** A backslash is a separator on Windows only. */
function isWindows(root: string): boolean {
  return /^[a-z]:|^\\\\/i.test(root);
}

const outside = "outside of its project there";

export interface Mapped {
  readonly inside: readonly FileNote[];
  /** As they were called there: there is nothing to compare them with. */
  readonly outside: readonly FileNote[];
}

export function mapFiles(files: readonly FileNote[], roots: Roots): Mapped {
  const mapped = files.map((file) => ({ file, path: mapPath(file.path, roots) }));
  return {
    inside: mapped.flatMap(({ file, path }) => (path === null ? [] : [{ ...file, path }])),
    outside: mapped.flatMap(({ file, path }) => (path === null ? [{ ...file, hash: null, skipped: outside }] : [])),
  };
}
