import { join } from "node:path";
import type { FileNote } from "../../contract/work-state.ts";

/** Maps paths of another machine's project to the same project here. Pure. */

export interface Roots {
  /** Root of the project there; null: it had none. */
  readonly there: string | null;
  /** The same here; null: there is none. */
  readonly here: string | null;
}

/**
 * [RE21] Maps a path below the root there to the same path below the root here. Both separators count, since the other machine may run
 * Windows.
 *
 * @returns null for any other path
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

const externalReason = "outside of its project there";

export interface MappedFiles {
  readonly inside: readonly FileNote[];
  /** Under their names there: this machine has nothing to compare them with. */
  readonly external: readonly (FileNote & { readonly now: "unknown" })[];
}

export function mapFiles(files: readonly FileNote[], roots: Roots): MappedFiles {
  const mapped: { inside: FileNote[]; external: (FileNote & { now: "unknown" })[] } = { inside: [], external: [] };
  for (const file of files) {
    const path = mapPath(file.path, roots);
    if (path === null) mapped.external.push({ ...file, hash: null, skipped: externalReason, now: "unknown" });
    else mapped.inside.push({ ...file, path });
  }
  return mapped;
}
