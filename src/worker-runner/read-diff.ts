import { run, splitRaw, displayPath, type Git } from "../snapshots/git.ts";

export interface ChangedFile {
  readonly path: string;
  /** Null for a binary file. */
  readonly added: number | null;
  readonly removed: number | null;
}

export interface CommitDiff {
  readonly files: readonly ChangedFile[];
  /** With a summary before the patch; "" without a change. */
  readonly diff: string;
}

/** Runs no program that the repository's settings name. */
export async function readDiff(git: Git, base: string, commit: string): Promise<CommitDiff> {
  const readable = { ...git, before: [...git.before, "-c", "core.quotePath=false"] };
  const plain = ["--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"];
  const { stdout } = await run(readable, ["diff", ...plain, "--stat", "--patch", base, commit]);
  const counts = await run(readable, ["diff", ...plain, "--numstat", "-z", base, commit]);
  return { files: splitRaw(counts.stdout).map(parseFile), diff: stdout.toString("utf8") };
}

function parseFile(record: string): ChangedFile {
  const [added = "-", removed = "-", ...path] = record.split("\t");
  return { path: displayPath(path.join("\t")), added: parseCount(added), removed: parseCount(removed) };
}

function parseCount(text: string): number | null {
  return text === "-" ? null : Number(text);
}
