import { rawList, run, splitRaw, type Git, type RawPath } from "./git.ts";
import type { FileEntry } from "./file-entry.ts";

/** Modes and objects of all files of a commit. */
export async function entriesAt(git: Git, commit: string): Promise<ReadonlyMap<RawPath, string>> {
  const lines = await rawList(git, ["ls-tree", "-r", "-z", "--full-tree", commit]);
  return new Map(
    lines.map((line): [RawPath, string] => {
      const tab = line.indexOf("\t");
      const [mode, , id] = line.slice(0, tab).split(" ");
      return [line.slice(tab + 1), `${mode} ${id}`];
    }),
  );
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
