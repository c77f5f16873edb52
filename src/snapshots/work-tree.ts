import { existsSync, realpathSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { GitError, firstLine, joinRaw, rawList, run, splitRaw, text, userGit, type Git, type RawPath } from "./git.ts";

export interface WorkTree {
  readonly top: string;
  readonly gitDir: string;
  readonly commonDir: string;
  readonly objects: string;
  readonly format: string;
  readonly head: string | null;
  readonly branch: string | null;
  /** `key=value` settings that change how files and content are read and written. */
  readonly config: readonly string[];
  /** A folder without git: SHIM's repository is its git folder, too. */
  readonly isPlain?: true;
}

/** Accepts settings that shape content and name no file and no command. */
export function isContentSetting(setting: string): boolean {
  const [key = ""] = setting.split("=", 1);
  return contentSetting.test(key) && !/^core\.(excludesfile|attributesfile)$/.test(key);
}

type Discovery = { readonly found: WorkTree } | { readonly skipped: string; readonly isPlain?: boolean };

/** GIT_CONFIG_GLOBAL, which excludes the user's commands, needs this release (June 2021). */
const minGitVersion = [2, 32] as const;

const contentSettings =
  "^core\\.(autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode|trustctime|checkstat|protecthfs|protectntfs|excludesfile|attributesfile|checkroundtripencoding)$";
const contentSetting = new RegExp(contentSettings);

/**
 * [GS1] Returns why there is no work tree.
 * @throws {GitError} when git fails otherwise or is aborted
 */
export async function discover(env: NodeJS.ProcessEnv, folder: string, signal: AbortSignal): Promise<Discovery> {
  if (!existsSync(folder)) return { skipped: `the folder ${folder} does not exist` };
  const git = userGit(env, folder, signal);
  try {
    const tooOldReason = await findTooOld(git);
    if (tooOldReason !== null) return { skipped: tooOldReason };
    const isInside = await text(git, ["rev-parse", "--is-inside-work-tree"]);
    if (isInside !== "true")
      return { skipped: `${folder} is in a bare repository or a git folder: there is no work tree` };
  } catch (error) {
    const reason = skipReason(error, folder);
    if (reason === null) throw error;
    return { skipped: reason, isPlain: error instanceof GitError && error.stderr.includes(noRepository) };
  }
  const tree = await describe(git);
  // A dotfiles repository would copy the whole home. A setting may name a work tree above it.
  return isAboveHome(env, tree.top) ? { skipped: `${tree.top} is the home folder, not a project` } : { found: tree };
}

function isAboveHome(env: NodeJS.ProcessEnv, top: string): boolean {
  const home = resolve(env["HOME"] ?? homedir());
  return home === top || home.startsWith(top.endsWith("/") ? top : `${top}/`);
}

/** Whether a folder can have snapshots, as far as its name says. */
export function mayBeProject(env: NodeJS.ProcessEnv, folder: string): boolean {
  return existsSync(folder) && (existsSync(join(folder, ".git")) || !isAboveHome(env, folder));
}

/**
 * [GS90] The work tree of a project: that of git, else the folder itself.
 *
 * @param repositoryOf SHIM's repository of a tree
 * @throws {GitError} when git fails otherwise or is aborted
 */
export async function projectTree(
  env: NodeJS.ProcessEnv,
  folder: string,
  signal: AbortSignal,
  repositoryOf: (tree: Pick<WorkTree, "format" | "commonDir">) => string,
): Promise<Discovery> {
  const found = await discover(env, folder, signal);
  if ("found" in found || found.isPlain !== true) return found;
  const top = realpathSync(folder);
  const isShared = dirname(top) === top || top === realpathSync(tmpdir());
  if (isShared || isAboveHome(env, top)) return { skipped: `${top} is no project: it holds all others` };
  const gitDir = repositoryOf({ format: "sha1", commonDir: top });
  const names = { top, gitDir, commonDir: top, objects: join(gitDir, "objects") };
  return { found: { ...names, format: "sha1", head: null, branch: null, config: [], isPlain: true } };
}

/** Major and minor version as one number: 2038 for 2.38; NaN where the text has none. */
export function gitNumber(versionText: string): number {
  const [, major, minor] = /(?<!\d)(\d+)\.(\d+)/.exec(versionText) ?? [];
  return Number(major) * 1_000 + Number(minor);
}

async function findTooOld(git: Git): Promise<string | null> {
  const version = await text(git, ["version"]);
  if (gitNumber(version) >= minGitVersion[0] * 1_000 + minGitVersion[1]) return null;
  return `${version} is too old: snapshots need git ${minGitVersion.join(".")} or newer`;
}

const noRepository = "not a git repository";

function skipReason(error: unknown, folder: string): string | null {
  if (!(error instanceof GitError)) return null;
  if (error.fault === "missing") return "git is not installed, or not on the PATH of this process";
  if (error.stderr.includes(noRepository)) return `${folder} is not in a git repository`;
  if (error.stderr.includes("dubious ownership"))
    return `git refuses this repository because another user owns it; to allow it: git config --global --add safe.directory <folder> (${firstLine(error.stderr)})`;
  return null;
}

async function describe(git: Git): Promise<WorkTree> {
  const [top, gitDir, commonDir, objects, format, head, branch, config] = await Promise.all([
    text(git, ["rev-parse", "--show-toplevel"]),
    text(git, ["rev-parse", "--absolute-git-dir"]),
    text(git, ["rev-parse", "--path-format=absolute", "--git-common-dir"]),
    text(git, ["rev-parse", "--path-format=absolute", "--git-path", "objects"]),
    text(git, ["rev-parse", "--show-object-format"]),
    run(git, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], "", [0, 1]),
    run(git, ["symbolic-ref", "--quiet", "--short", "HEAD"], "", [0, 1]),
    run(git, ["config", "-z", "--get-regexp", contentSettings], "", [0, 1]),
  ]);
  // `key LF value NUL`, or `key NUL` for a switch; the last of a key counts.
  const settings = new Map<string, string>();
  for (const entry of config.stdout.toString("utf8").split("\0").slice(0, -1)) {
    const [key = "", ...value] = entry.split("\n");
    settings.set(key, `${key}=${entry.includes("\n") ? value.join("\n") : "true"}`);
  }
  return {
    top,
    gitDir,
    commonDir,
    objects,
    format,
    head: head.stdout.toString("utf8").trim() || null,
    branch: branch.stdout.toString("utf8").trim() || null,
    config: [...settings.values()],
  };
}

interface GitEntry {
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
  const base = head ?? (await text(git, ["hash-object", "-t", "tree", "--stdin"]));
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
  const closed = untracked.stderr.matchAll(/could not open directory '((?:(?!could not open).)*)':/g);
  const closedFolders = [...closed].map(([, folder = ""]) => folder);
  return { changes: [...changes.values()], tracked, closedFolders };
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

interface Attributes {
  readonly filter: Map<RawPath, string>;
  readonly autoText: Set<RawPath>;
}

export async function readAttributes(git: Git, paths: readonly RawPath[]): Promise<Attributes> {
  const filter = new Map<RawPath, string>();
  const autoText = new Set<RawPath>();
  const isConverting = git.before.some((setting) => /^core\.autocrlf=(?!false|no|off|0$)/i.test(setting));
  const automatic = new Set(isConverting ? ["auto", "unspecified"] : ["auto"]);
  const fields = await rawList(git, ["check-attr", "--stdin", "-z", "filter", "text"], joinRaw(paths));
  for (let at = 0; at + 2 < fields.length; at += 3) {
    const [path = "", name = "", value = ""] = fields.slice(at, at + 3);
    if (name === "text" && automatic.has(value)) autoText.add(path);
    if (name === "filter" && value !== "unspecified" && value !== "unset") filter.set(path, value);
  }
  return { filter, autoText };
}
