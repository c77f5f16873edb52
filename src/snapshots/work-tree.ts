import { existsSync, realpathSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve, sep } from "node:path";
import { programPath } from "../platform/program-path.ts";
import {
  GitError,
  firstLine,
  joinRaw,
  rawList,
  run,
  splitRaw,
  text,
  userGit,
  type Git,
  type GitOutput,
  type RawPath,
} from "./git.ts";

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

type Discovery =
  | { readonly found: WorkTree }
  | { readonly skipped: string; readonly isPlain?: boolean; readonly isWithoutGit?: boolean };

/** GIT_CONFIG_GLOBAL, which excludes the user's commands, needs this release (June 2021). */
const minGitVersion = [2, 32] as const;

const contentSettings =
  "^core\\.(autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode|trustctime|checkstat|protecthfs|protectntfs|excludesfile|attributesfile|checkroundtripencoding)$";
const contentSetting = new RegExp(contentSettings);

/**
 * Returns why there is no work tree.
 * @throws {GitError} when git fails otherwise or is aborted
 */
export async function discover(env: NodeJS.ProcessEnv, folder: string, signal: AbortSignal): Promise<Discovery> {
  if (!existsSync(folder)) return { skipped: `the folder ${folder} does not exist` };
  const git = userGit(env, folder, signal);
  try {
    const [version, location, settings] = await Promise.all([
      versionOf(git),
      run(git, ["rev-parse", ...locationArgs.join(` ${separator} `).split(" ")], "", [0, 128]),
      run(git, ["config", "-z", "--get-regexp", contentSettings], "", [0, 1, 128]),
    ]);
    if (gitNumber(version) < minGitVersion[0] * 1_000 + minGitVersion[1])
      return { skipped: `${version} is too old: snapshots need git ${minGitVersion.join(".")} or newer` };
    const tree = { ...(await readLocation(git, location)), config: readSettings(settings) };
    // A dotfiles repository would copy the whole home. A setting may name a work tree above it.
    return isAboveHome(env, tree.top) ? { skipped: `${tree.top} is the home folder, not a project` } : { found: tree };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const reason = skipReason(error, folder);
    if (reason === null) throw error;
    const { fault, stderr } = error;
    return { skipped: reason, isPlain: stderr.includes(noRepository), isWithoutGit: fault === "missing" };
  }
}

/** Versions by where git was found: an update under a running process is no older one. */
const versions = new Map<string, string>();

async function versionOf(git: Git): Promise<string> {
  const where = `${programPath("git", git.env)} ${git.env["PATH"]}`;
  const version = versions.get(where) ?? (await text(git, ["version"]));
  versions.set(where, version);
  return version;
}

function isAboveHome(env: NodeJS.ProcessEnv, top: string): boolean {
  const home = resolve(env["HOME"] ?? homedir());
  return home === top || home.startsWith(top.endsWith(sep) ? top : `${top}${sep}`);
}

/** Whether a folder can have snapshots, as far as its name says. */
export function mayBeProject(env: NodeJS.ProcessEnv, folder: string): boolean {
  return existsSync(folder) && (existsSync(join(folder, ".git")) || !isAboveHome(env, folder));
}

/**
 * The work tree of a project: that of git, else the folder itself.
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
  const top = realpathSync.native(folder);
  const isShared = dirname(top) === top || top === realpathSync.native(tmpdir());
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

const noRepository = "not a git repository";

function skipReason(error: GitError, folder: string): string | null {
  if (error.fault === "missing") return "git is not installed, or not on the PATH of this process";
  if (error.stderr.includes("must be run in a work tree"))
    return `${folder} is in a bare repository or a git folder: there is no work tree`;
  if (error.stderr.includes(noRepository)) return `${folder} is not in a git repository`;
  if (error.stderr.includes("dubious ownership"))
    return `git refuses this repository because another user owns it; to allow it: git config --global --add safe.directory <folder> (${firstLine(error.stderr)})`;
  return null;
}

/** Written by git as it is, between paths that may have line breaks. */
const separator = "--shim-next";
const locationArgs = [
  "--show-object-format",
  "--show-toplevel",
  "--absolute-git-dir",
  "--path-format=absolute --git-common-dir",
  "--git-path objects",
  // Last: it fails before the first commit.
  "HEAD^{commit} --symbolic-full-name HEAD",
];

async function readLocation(git: Git, { stdout, stderr }: GitOutput): Promise<Omit<WorkTree, "config" | "isPlain">> {
  const fields = stdout.toString("utf8").split(`\n${separator}\n`);
  if (fields.length < locationArgs.length) throw new GitError("failed", firstLine(stderr), stderr);
  const [format = "", top = "", gitDir = "", commonDir = "", objects = "", answer = ""] = fields;
  // Git writes slashes on Windows, too.
  const location = {
    format,
    top: resolve(top),
    gitDir: resolve(gitDir),
    commonDir: resolve(commonDir),
    objects: resolve(objects),
  };
  const [, head, ref] = /^([0-9a-f]{40,64})\n(.*)\n$/.exec(answer) ?? [];
  if (head !== undefined && ref !== undefined)
    return { ...location, head, branch: ref === "HEAD" ? null : ref.replace(/^refs\/(heads\/)?/, "") };
  const unborn = await run(git, ["symbolic-ref", "--quiet", "--short", "HEAD"], "", [0, 1]);
  return { ...location, head: null, branch: unborn.stdout.toString("utf8").trim() || null };
}

/** Reads `key LF value NUL`, or `key NUL` for a switch; the last of a key counts. */
function readSettings({ code, stdout, stderr }: GitOutput): string[] {
  if (code === 128) throw new GitError("failed", firstLine(stderr), stderr);
  const settings = new Map<string, string>();
  for (const entry of stdout.toString("utf8").split("\0").slice(0, -1)) {
    const [key = "", ...value] = entry.split("\n");
    settings.set(key, `${key}=${entry.includes("\n") ? value.join("\n") : "true"}`);
  }
  return [...settings.values()];
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
  /** Files, and folders that are ignored as a whole, with a slash at the end. */
  readonly ignored: readonly RawPath[];
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

export async function updateIndex(
  git: Git,
  flags: readonly string[],
  files: readonly { path: RawPath }[],
): Promise<void> {
  if (files.length > 0)
    await run(git, ["update-index", ...flags, "-z", "--stdin"], joinRaw(files.map(({ path }) => path)));
}

/**
 * Files that differ from HEAD, in the index or in the work tree. Enters no submodule, runs no
 * filter.
 *
 * @param known entries of the index, where they are known
 */
export async function changesSince(git: Git, known?: readonly IndexEntry[]): Promise<WorkTreeChanges> {
  const args = ["--porcelain=v2", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all"];
  args.push("--ignored=matching");
  const [{ stdout, stderr }, tracked] = await Promise.all([run(git, ["status", ...args]), known ?? indexEntries(git)]);
  const inIndex = new Set(tracked.map(({ path }) => path));
  const before = new Map<RawPath, GitEntry>();
  const changes = new Map<RawPath, FileChange>();
  const ignored: RawPath[] = [];
  for (const record of splitRaw(stdout)) {
    const { path, entry } = readStatus(record);
    if (record.startsWith("!")) {
      ignored.push(path);
      continue;
    }
    if (entry) before.set(path, entry);
    const isTracked = !record.startsWith("?");
    // HEAD also has a path that is removed from the index only.
    if (!isTracked || inIndex.has(path)) changes.set(path, { path, before: before.get(path) ?? null, isTracked });
  }
  const closed = stderr.matchAll(/could not open directory '((?:(?!could not open).)*)':/g);
  return {
    changes: [...changes.values()],
    tracked,
    closedFolders: [...closed].map(([, folder = ""]) => folder),
    ignored,
  };
}

/** Fields before the path, by the first of them; those of the mode and id in HEAD, or in ours. */
const statusFields: Partial<Record<string, readonly [count: number, mode: number, id: number]>> = {
  "1": [8, 3, 6],
  u: [10, 4, 8],
};

function readStatus(record: string): { readonly path: RawPath; readonly entry: GitEntry | null } {
  const fields = record.split(" ");
  const [count, modeAt, idAt] = statusFields[fields[0] ?? ""] ?? [1, 0, 0];
  const [mode = absentMode, id = ""] = count === 1 ? [] : [fields[modeAt], fields[idAt]];
  return { path: fields.slice(count).join(" "), entry: mode === absentMode ? null : { mode, id } };
}

export interface Attributes {
  readonly filter: ReadonlyMap<RawPath, string>;
  /**
   * Paths whose content git may store in another form than the work tree has. True: in one that may
   * have the same size.
   */
  readonly converted: ReadonlyMap<RawPath, boolean>;
}

const attributeNames = ["filter", "text", "crlf", "eol", "ident", "working-tree-encoding"] as const;
type AttributeValues = Record<(typeof attributeNames)[number], string>;
const unspecified = Object.fromEntries(attributeNames.map((name) => [name, "unspecified"])) as AttributeValues;

export async function readAttributes(git: Git, paths: readonly RawPath[]): Promise<Attributes> {
  const filter = new Map<RawPath, string>();
  const converted = new Map<RawPath, boolean>();
  const isConverting = git.before.some((setting) => /^core\.autocrlf=(?!false|no|off|0$)/i.test(setting));
  // Files of most projects have none: git lists those that are given alone.
  const fields = await rawList(git, ["check-attr", "--all", "--stdin", "-z"], joinRaw(paths));
  const given = new Map<RawPath, AttributeValues>(isConverting ? paths.map((path) => [path, unspecified]) : []);
  for (let at = 0; at + 2 < fields.length; at += 3) {
    const [path = "", name = "", value = ""] = fields.slice(at, at + 3);
    given.set(path, { ...(given.get(path) ?? unspecified), [name]: value });
  }
  for (const [path, { filter: driver, text, ident, "working-tree-encoding": encoding, ...ends }] of given) {
    if (isGiven(driver)) filter.set(path, driver);
    if (isGiven(driver) || isGiven(encoding)) converted.set(path, true);
    else if (ident === "set" || isText({ text, ...ends }, isConverting)) converted.set(path, false);
  }
  return { filter, converted };
}

function isGiven(value: string): boolean {
  return value !== "unspecified" && value !== "unset";
}

/** Order of git: `text`, else its old name `crlf`, else `eol`, else core.autocrlf. */
function isText({ text, crlf, eol }: Pick<AttributeValues, "text" | "crlf" | "eol">, isConverting: boolean): boolean {
  if (text !== "unspecified") return text !== "unset";
  if (crlf !== "unspecified") return crlf !== "unset";
  return eol === "lf" || eol === "crlf" || isConverting;
}
