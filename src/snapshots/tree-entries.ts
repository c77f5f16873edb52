import { rawList, type Git, type RawPath } from "./git.ts";

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
