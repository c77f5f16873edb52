import { joinRaw, rawList, run, splitRaw, type Git, type RawPath } from "./git.ts";

export interface GitEntry {
  readonly mode: string;
  readonly id: string;
}

export interface IndexEntry extends GitEntry {
  readonly path: RawPath;
  /** Tag of `ls-files -v`: S is skip-worktree, a small letter is assume-unchanged. */
  readonly tag: string;
}

export interface FileChange {
  readonly path: RawPath;
  /** Entry in HEAD; null for a new path. */
  readonly before: GitEntry | null;
  readonly isTracked: boolean;
}

export interface WorkTreeChanges {
  readonly changes: readonly FileChange[];
  readonly tracked: readonly IndexEntry[];
  readonly closedFolders: readonly string[];
}

export const submoduleMode = "160000";
const absentMode = "000000";

export async function indexEntries(git: Git): Promise<IndexEntry[]> {
  const records = await rawList(git, ["ls-files", "-v", "--stage", "-z"]);
  return records.map((record) => {
    const tab = record.indexOf("\t");
    const [tag = "", mode = "", id = ""] = record.slice(0, tab).split(" ");
    return { tag, mode, id, path: record.slice(tab + 1) };
  });
}

/** Writes only the index copy: enters no submodule, runs no filter. */
export async function changesSince(git: Git, head: string | null): Promise<WorkTreeChanges> {
  await run(git, ["update-index", "-q", "--really-refresh", "--unmerged", "--ignore-submodules"], "", [0, 1]);
  const base = head ?? (await emptyTree(git));
  const flags = ["--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules=all"];
  const [tracked, staged, edited, untracked] = await Promise.all([
    indexEntries(git),
    run(git, ["diff-index", "--cached", ...flags, base]),
    run(git, ["diff-files", ...flags]),
    run(git, ["ls-files", "--others", "--exclude-standard", "-z"]),
  ]);
  const changes = new Map<RawPath, FileChange>();
  const inIndex = new Set(tracked.map(({ path }) => path));
  const before = new Map<RawPath, GitEntry>();
  for (const { path, entry } of parseRawDiff(staged.stdout)) {
    if (entry) before.set(path, entry);
    if (inIndex.has(path)) changes.set(path, { path, before: entry, isTracked: true });
  }
  for (const { path, entry } of parseRawDiff(edited.stdout)) {
    if (!changes.has(path)) changes.set(path, { path, before: entry, isTracked: true });
  }
  for (const path of splitRaw(untracked.stdout)) {
    // HEAD also has a path that is unmerged or removed from the index only.
    changes.set(path, { path, before: before.get(path) ?? null, isTracked: false });
  }
  return { changes: [...changes.values()], tracked, closedFolders: parseClosedFolders(untracked.stderr) };
}

function emptyTree(git: Git): Promise<string> {
  return run(git, ["hash-object", "-t", "tree", "--stdin"]).then(({ stdout }) => stdout.toString("utf8").trim());
}

/** Parses `:oldmode newmode oldid newid status NUL path NUL`; null where the path was not there. */
function parseRawDiff(stdout: Buffer): { path: RawPath; entry: GitEntry | null }[] {
  const fields = splitRaw(stdout);
  const entries = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [mode = absentMode, , id = ""] = (fields[i] ?? "").slice(1).split(" ");
    entries.push({ path: fields[i + 1] ?? "", entry: mode === absentMode ? null : { mode, id } });
  }
  return entries;
}

function parseClosedFolders(stderr: string): string[] {
  return [...stderr.matchAll(/could not open directory '((?:(?!could not open).)*)':/g)].map(
    ([, folder = ""]) => folder,
  );
}

export interface Attributes {
  readonly filter: Map<RawPath, string>;
  readonly autoText: Set<RawPath>;
}

export async function readAttributes(git: Git, paths: readonly RawPath[]): Promise<Attributes> {
  const filter = new Map<RawPath, string>();
  const autoText = new Set<RawPath>();
  const isConverting = git.before.some((setting) => /^core\.autocrlf=(?!false|no|off|0$)/i.test(setting));
  const automatic = new Set(isConverting ? ["auto", "unspecified"] : ["auto"]);
  for (const { path, name, value } of await checkAttributes(git, paths)) {
    if (name === "text" && automatic.has(value)) autoText.add(path);
    if (name === "filter" && value !== "unspecified" && value !== "unset") filter.set(path, value);
  }
  return { filter, autoText };
}

async function checkAttributes(
  git: Git,
  paths: readonly RawPath[],
): Promise<{ path: RawPath; name: string; value: string }[]> {
  const fields = await rawList(git, ["check-attr", "--stdin", "-z", "filter", "text"], joinRaw(paths));
  return Array.from({ length: Math.floor(fields.length / 3) }, (_, at) => {
    const [path = "", name = "", value = ""] = fields.slice(at * 3, at * 3 + 3);
    return { path, name, value };
  });
}
