import { rawList, run, splitRaw, type Git, type RawPath } from "./git.ts";
import type { FileEntry } from "./file-entry.ts";

/** @returns modes and objects of those paths that the commit has */
export async function entriesAt(git: Git, commit: string, paths: readonly RawPath[]): Promise<Map<RawPath, string>> {
  if (paths.length === 0) return new Map();
  const wanted = new Set(paths);
  const lines = await rawList(git, ["ls-tree", "-r", "-z", "--full-tree", commit]);
  return new Map(
    lines.flatMap((line): [RawPath, string][] => {
      const tab = line.indexOf("\t");
      const [mode, , id] = line.slice(0, tab).split(" ");
      const path = line.slice(tab + 1);
      return wanted.has(path) ? [[path, `${mode} ${id}`]] : [];
    }),
  );
}

export async function pathsIn(git: Git, commit: string): Promise<RawPath[]> {
  return rawList(git, ["ls-tree", "-r", "--name-only", "-z", "--full-tree", commit]);
}

/** Paths that a commit has and a tree lacks. */
export async function pathsLackedBy(git: Git, root: string, commit: string): Promise<RawPath[]> {
  return rawList(git, ["diff-tree", "-r", "--name-only", "--no-renames", "--diff-filter=D", "-z", commit, root]);
}

const diffFlags = ["-r", "--raw", "-z", "--no-renames", "--no-abbrev"];

export async function differences(
  git: Git,
  from: string,
  to: string,
): Promise<Map<RawPath, { old: FileEntry; now: FileEntry }>> {
  if (from === to) return new Map();
  const fields = splitRaw((await run(git, ["diff-tree", ...diffFlags, from, to])).stdout);
  const found = new Map<RawPath, { old: FileEntry; now: FileEntry }>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [oldMode = "", newMode = "", oldId = "", newId = ""] = (fields[at] ?? "").slice(1).split(" ");
    found.set(fields[at + 1] ?? "", { old: entryOf(oldMode, oldId), now: entryOf(newMode, newId) });
  }
  return found;
}

function entryOf(mode: string, id: string): FileEntry {
  return mode === "000000" ? null : `${mode} ${id}`;
}
