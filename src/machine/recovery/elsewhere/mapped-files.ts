import { join } from "node:path";
import type { FileNote } from "../../../contract/work-state.ts";

interface Roots {
  /** Root of the project there; null: it had none. */
  readonly there: string | null;
  /** Root of the project here; null: it is not here. */
  readonly here: string | null;
}

/** Pure. Counts both separators, since the other machine may run Windows. */
export function mapPath(path: string, { there, here }: Roots): string | null {
  if (there === null || here === null) return null;
  const root = there.replace(/(?<![/\\])[/\\]+$/, "");
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

interface MappedFiles {
  readonly inside: readonly FileNote[];
  /** Paths of the other machine: this one has nothing to compare them with. */
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
