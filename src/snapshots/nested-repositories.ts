import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { displayPath, GitError, rawList, userGit, type RawPath } from "./git.ts";
import { installed, toRaw } from "./selection.ts";
import { submoduleMode, type WorkTreeChanges } from "./work-tree.ts";

/** Repositories that a reading enters; further ones are left out. */
const most = 20;
/** Entries of an ignored folder up to which repositories are looked for in it. */
const mostEntries = 200;

type Found = Pick<WorkTreeChanges, "changes" | "tracked" | "ignored">;

export interface WithNested extends Found {
  /** Folders of the repositories that were entered, each with a slash at the end. */
  readonly nested: readonly RawPath[];
  /** Files in them that the project's own index does not have. */
  readonly inside: ReadonlySet<RawPath>;
}

/**
 * Adds the files of work trees in the project that have a repository of their own, also where the
 * project ignores them: an undo would else be blind there. Each has its own rules of what is
 * ignored. A linked work tree is the project of other chats.
 */
export async function withNested(
  top: string,
  found: Found,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<WithNested> {
  const isTracked = new Set(found.tracked.map(({ path }) => path));
  const submodules = found.tracked.filter(({ mode }) => mode === submoduleMode).map(({ path }) => `${path}/`);
  const untracked = found.changes.flatMap(({ path }) => (path.endsWith("/") ? [path] : []));
  const ignored = found.ignored.flatMap((path) => insteadOf(top, path));
  const waiting = [...submodules, ...untracked, ...ignored].filter((path) => isRepository(top, path));
  const nested = new Set<RawPath>();
  const inside = new Set<RawPath>();
  const ignoredInside: RawPath[] = [];
  for (let folder = waiting.shift(); folder !== undefined && nested.size < most; folder = waiting.shift()) {
    const files = await filesIn(top, folder, env, signal);
    if (files === null) continue;
    nested.add(folder);
    ignoredInside.push(...files.ignored);
    for (const path of files.listed) {
      if (path.endsWith("/") && isRepository(top, path)) waiting.push(path);
      if (!isTracked.has(path)) inside.add(path);
    }
  }
  const changes = found.changes.filter(({ path }) => !nested.has(path) && !inside.has(path));
  const added = [...inside].filter((path) => !nested.has(path));
  return {
    changes: [...changes, ...added.map((path) => ({ path, before: null, isTracked: false }))],
    tracked: found.tracked.filter(({ path }) => !nested.has(`${path}/`)),
    ignored: [...ignored.filter((path) => !nested.has(path)), ...ignoredInside],
    nested: [...nested],
    inside: new Set(added),
  };
}

/** Entries of an ignored folder, where repositories are directly in it; else the folder. */
function insteadOf(top: string, path: RawPath): RawPath[] {
  const name = path.slice(path.lastIndexOf("/", path.length - 2) + 1, -1);
  if (!path.endsWith("/") || installed.has(name) || isRepository(top, path)) return [path];
  try {
    const entries = readdirSync(join(top, displayPath(path)), { withFileTypes: true });
    if (entries.length > mostEntries) return [path];
    const inside = entries.map((entry) => `${path}${toRaw(entry.name)}${entry.isDirectory() ? "/" : ""}`);
    return inside.some((one) => isRepository(top, one)) ? inside : [path];
  } catch {
    // Closed, or gone by now.
    return [path];
  }
}

function isRepository(top: string, folder: RawPath): boolean {
  if (!folder.endsWith("/")) return false;
  const path = join(top, displayPath(folder), ".git");
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    return stats !== undefined && (stats.isDirectory() || !/\/worktrees\/[^/]+\s*$/.test(readFileSync(path, "utf8")));
  } catch {
    return false;
  }
}

/** @returns null: git cannot list them */
async function filesIn(
  top: string,
  folder: RawPath,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<{ readonly listed: readonly RawPath[]; readonly ignored: readonly RawPath[] } | null> {
  const path = join(top, displayPath(folder));
  if (!existsSync(path)) return null;
  const git = userGit(env, path, signal);
  const list = async (...flags: readonly string[]): Promise<RawPath[]> => {
    const found = await rawList(git, ["ls-files", "-z", "--others", "--exclude-standard", ...flags]);
    return found.map((one) => folder + one);
  };
  try {
    const [listed, ignored] = await Promise.all([list("--cached"), list("--ignored", "--directory")]);
    return { listed: [...new Set(listed)], ignored };
  } catch (error) {
    if (!(error instanceof GitError) || error.fault !== "failed") throw error;
    return null;
  }
}
