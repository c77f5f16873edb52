import { existsSync, lstatSync, readFileSync } from "node:fs";
import { isAbsolute, join, relative, sep, dirname } from "node:path";
import { isTemporary } from "../platform/leftovers.ts";
import { blobId } from "./file-entry.ts";
import type { FileComparison } from "./file-state.ts";
import { answerSync, displayPath, repositoryGit, splitRaw, userGit, type Git, GitError, rawList, run } from "./git.ts";

interface ChangedFile {
  readonly path: string;
  readonly modifiedMs: number | null;
}

export interface ProjectChanges {
  readonly open: readonly ChangedFile[];
  readonly committed: ReadonlySet<string>;
  readonly clean: ReadonlySet<string>;
}

interface ChangesQuery {
  readonly project: string;
  /** Commit at the session's start; null when unknown or absent. */
  readonly commit: string | null;
  /** Commit now, as far as it is known without git. */
  readonly knownHead: string | null;
  /** Epoch ms: earlier changes are not the session's. */
  readonly startedAt: number;
  readonly edited: readonly string[];
}

/** Time limit of one question in ms; a recovery then continues without the answer. */
const timeoutMs = 1_500;
const maxFiles = 2_000;
/** A file's time may be coarser than the clock. */
const slackMs = 2_000;
const flags = ["--name-only", "-z", "--no-renames", "--ignore-submodules=all"];
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/** Reads only, and runs neither a filter nor a monitor of the project. */
export function changesIn(
  env: NodeJS.ProcessEnv,
  { project, commit, knownHead, startedAt, edited }: ChangesQuery,
): ProjectChanges | null {
  const git = withoutFilters(userGit(env, project, AbortSignal.timeout(timeoutMs * 4)));
  if (git === null) return null;
  const head =
    knownHead ??
    (answerSync(git, ["rev-parse", "-q", "--verify", "HEAD^{commit}"], timeoutMs)?.toString("utf8").trim() || null);
  const dirty = listLines(git, ["diff-index", ...flags, head ?? emptyTree, "--"]);
  const untracked = listLines(git, ["ls-files", "--others", "--exclude-standard", "-z"]);
  if (dirty === null || untracked === null) return null;
  const openFiles = [...new Set([...dirty, ...untracked])]
    .filter((name) => !isTemporary(name))
    .slice(0, maxFiles)
    .map((name): ChangedFile => {
      const path = join(project, name);
      try {
        return { path, modifiedMs: lstatSync(path).mtimeMs };
      } catch {
        return { path, modifiedMs: null };
      }
    });
  const isMoved = commit !== null && head !== null && commit !== head;
  const committed = isMoved ? listLines(git, ["diff-tree", "-r", ...flags, commit, head, "--"]) : [];
  const isOpen = new Set(openFiles.map(({ path }) => path));
  const inside = pathsInside(project, edited).filter((path) => !isOpen.has(join(project, path)));
  const literal = ["--literal-pathspecs", "ls-files", "-z", "--", ...inside.slice(-500)];
  const tracked = inside.length === 0 ? [] : (listLines(git, literal) ?? []);
  return {
    open: openFiles
      .filter(({ modifiedMs }) => modifiedMs === null || modifiedMs >= startedAt - slackMs)
      .sort((one, other) => (other.modifiedMs ?? 0) - (one.modifiedMs ?? 0)),
    committed: new Set((committed ?? []).map((path) => join(project, path))),
    clean: new Set(tracked.map((path) => join(project, path))),
  };
}

/** Paths as git writes them. @param paths absolute; those outside of the project are left out */
function pathsInside(project: string, paths: readonly string[]): string[] {
  return paths
    .filter((path) => isAbsolute(path))
    .map((path) => relative(project, path))
    .filter((path) => path !== "" && !path.startsWith("..") && !isAbsolute(path))
    .map((path) => path.split(sep).join("/"));
}

/** Git compares the content of a file that is as new as its index, and would filter it first. */
function withoutFilters(git: Git): Git | null {
  const names = listLines(git, ["config", "--null", "--name-only", "--list"]);
  if (names === null) return null;
  const programs = names.filter((name) => /^filter\..*\.(?:clean|process)$/s.test(name));
  const required = names.filter((name) => /^filter\..*\.required$/s.test(name));
  const settings = [...programs.map((name) => [name, ""]), ...required.map((name) => [name, "false"])];
  const own = settings.map(([name, value], at) => [
    [`GIT_CONFIG_KEY_${at}`, name],
    [`GIT_CONFIG_VALUE_${at}`, value],
  ]);
  return { ...git, env: { ...git.env, ...Object.fromEntries(own.flat()), GIT_CONFIG_COUNT: String(own.length) } };
}

function listLines(git: Git, args: readonly string[]): string[] | null {
  const answer = answerSync(git, args, timeoutMs);
  return answer && splitRaw(answer).map(displayPath);
}

interface SnapshotOfProject {
  readonly repository: string;
  readonly commit: string;
  readonly project: string;
}

/** Whether SHIM's repository has the commit of a snapshot; null: git gave no answer. */
export function hasSnapshot(
  env: NodeJS.ProcessEnv,
  { repository, commit }: Omit<SnapshotOfProject, "project">,
): boolean | null {
  if (!existsSync(join(repository, "HEAD"))) return false;
  const git = repositoryGit(env, { gitDir: repository }, AbortSignal.timeout(timeoutMs));
  const answers = (...args: string[]): boolean => answerSync(git, args, timeoutMs) !== null;
  if (answers("cat-file", "-e", `${commit}^{tree}`)) return true;
  return answers("rev-parse", "--git-dir") ? false : null;
}

const maxComparedFiles = 100;
const maxFileBytes = 5_000_000;

/**
 * Compares files with a snapshot, byte by byte.
 * @param paths absolute; those outside of the project have no answer
 * @param until epoch ms of the session's last event: what changed later was not its work
 * @returns "same" where the bytes are those of the snapshot, "changed" where they are others and
 * the file was written later, "unknown" otherwise; null: git gave no answer
 */
export function compareWithSnapshot(
  env: NodeJS.ProcessEnv,
  { repository, commit, project }: SnapshotOfProject,
  paths: readonly string[],
  until: number,
): ReadonlyMap<string, FileComparison> | null {
  const inside = pathsInside(project, paths).slice(0, maxComparedFiles);
  if (inside.length === 0) return new Map();
  const git = repositoryGit(env, { gitDir: repository }, AbortSignal.timeout(timeoutMs));
  const answer = answerSync(git, ["--literal-pathspecs", "ls-tree", "-z", commit, "--", ...inside], timeoutMs);
  if (answer === null) return null;
  const found = splitRaw(answer).map((line) => /^\d+ blob ([0-9a-f]+)\t([\s\S]*)$/.exec(displayPath(line)));
  return new Map(
    found.flatMap((match): [string, FileComparison][] => {
      const [, id = "", name = ""] = match ?? [];
      const path = join(project, name);
      return id === "" ? [] : [[path, compare(path, id, until)]];
    }),
  );
}

/** @param id of the blob; a project may convert line ends, so other bytes alone prove no change */
function compare(path: string, id: string, until: number): FileComparison {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size > maxFileBytes) return "unknown";
  const content = readFileSync(path);
  if (blobId(content, id.length === 64 ? "sha256" : "sha1") === id) return "same";
  return stats.mtimeMs > until + slackMs ? "changed" : "unknown";
}

/**
 * For each file that differs from the last commit, or is in none: when the newest commit since then
 * has changed it (epoch ms, to the second), 0 without one. Where git cannot say, all differ.
 *
 * @param paths relative to the root of the work tree
 * @param since epoch ms
 */
export async function uncommitted(
  env: NodeJS.ProcessEnv,
  root: string,
  paths: readonly string[],
  since: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const git = userGit(env, root, signal);
  // A repository of the whole home says nothing of a project in it.
  const gitEnv = { ...git.env, GIT_CEILING_DIRECTORIES: dirname(root) };
  const literal = { ...git, env: gitEnv, before: [...git.before, "--literal-pathspecs"] };
  try {
    const args = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored", "--"];
    const listed = await rawList(literal, [...args, ...paths]);
    const differing = new Set(listed.map((line) => Buffer.from(line.slice(3), "latin1").toString("utf8")));
    const found = new Map<string, number>();
    for (const path of paths) if (differing.has(path)) found.set(path, await committedAt(literal, path, since));
    return found;
  } catch (error) {
    if (!(error instanceof GitError) || error.fault === "stopped") throw error;
    return new Map(paths.map((path) => [path, 0]));
  }
}

/** The limit spares git the whole history of a file that rarely changes. */
async function committedAt(git: Git, path: string, since: number): Promise<number> {
  const from = new Date(since).toISOString();
  // 128: there is no commit yet.
  const args = ["log", "-1", "--format=%ct", `--since=${from}`, "--", path];
  const { stdout } = await run(git, args, "", [0, 128]);
  return Number(stdout.toString("latin1")) * 1_000;
}
