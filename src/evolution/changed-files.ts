import { run, splitRaw, displayPath, type Git } from "../snapshots/git.ts";
import type { FileDelta } from "./judge.ts";

/** Larger files are data. */
const maxBytes = 2_000_000;

/** Files of which two commits have different states, with both texts. */
export async function changedFiles(git: Git, base: string, commit: string, prefix: string): Promise<FileDelta[]> {
  const args = ["diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", base, commit];
  const fields = splitRaw((await run(git, args)).stdout);
  const changes: FileDelta[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const path = inProject(prefix, displayPath(fields[at + 1] ?? ""));
    changes.push({ path, ...(await readChange(git, fields[at] ?? "")) });
  }
  return changes;
}

async function readChange(git: Git, record: string): Promise<Omit<FileDelta, "path">> {
  const [oldMode = "", newMode = "", before = "", after = "", status = ""] = record.slice(1).split(" ");
  const kind = isPlain(oldMode) && isPlain(newMode) ? kinds[status] : undefined;
  const texts = { before: await readText(git, oldMode, before), after: await readText(git, newMode, after) };
  return { kind: kind ?? "retyped", ...texts };
}

const kinds: Readonly<Record<string, FileDelta["kind"]>> = { A: "added", D: "deleted", M: "changed" };

/** Neither a link nor a module. */
function isPlain(mode: string): boolean {
  return mode === "000000" || mode.startsWith("100");
}

async function readText(git: Git, mode: string, id: string): Promise<string | null> {
  if (!mode.startsWith("100")) return null;
  const { stdout } = await run(git, ["cat-file", "blob", id]);
  return stdout.length > maxBytes || stdout.includes(0) ? null : stdout.toString("utf8");
}

function inProject(prefix: string, path: string): string {
  if (prefix === "") return path;
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : `../${path}`;
}
