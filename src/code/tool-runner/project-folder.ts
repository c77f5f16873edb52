import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
  mkdirSync,
  symlinkSync,
} from "node:fs";
import { dirname, extname, isAbsolute, join, posix, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { readConfig } from "../../platform/config-file.ts";
import { objectAt, parseObject, textAt } from "../../shared/json-fields.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { GitError, lines, repositoryGit, run, text, userGit, type Git } from "../../snapshots/git.ts";
import { findCommit, openRepository, type UserRepository } from "../../snapshots/user-repository.ts";
import type { InstalledTool, ProjectView } from "../analysis/adapter.ts";

/** Larger files are none that tools are configured by, and none with readable findings. */
const maxFileBytes = 10_000_000;

/** @param root absolute, without symbolic links */
export function openProject(root: string): ProjectView {
  return {
    root,
    read: (path) => readText(join(root, path)),
    findTool: (packageName, program) => findTool(root, packageName, program),
  };
}

/** Another state of the same project, with the tools that are installed for this one. */
export function openCopy(project: ProjectView, root: string): ProjectView {
  return { ...openProject(root), findTool: project.findTool };
}

/** A pipe or a device would block. */
function readText(path: string): string | null {
  try {
    const stat = statSync(path);
    return stat.isFile() && stat.size <= maxFileBytes ? readFileSync(path, "utf8") : null;
  } catch {
    return null;
  }
}

/** `node_modules` of the folder and of those above it, up to the repository's. */
function* modulesAbove(root: string): Generator<string> {
  const owner = statSync(root).uid;
  for (let folder = root; ; folder = dirname(folder)) {
    const modules = join(folder, "node_modules");
    // In a folder that many users share, another user may have made one.
    if (statSync(modules, { throwIfNoEntry: false })?.uid === owner) yield modules;
    if (existsSync(join(folder, ".git")) || dirname(folder) === folder) return;
  }
}

function findTool(root: string, packageName: string, program: string): InstalledTool | string | null {
  for (const modules of modulesAbove(root)) {
    const found = toolIn(modules, packageName, program);
    if (found !== null) return found;
  }
  return null;
}

function toolIn(modules: string, packageName: string, program: string): InstalledTool | string | null {
  const entry = programFile(modules, packageName, program);
  if (entry === null) return null;
  let path: string;
  try {
    path = realpathSync(entry);
  } catch {
    return `${entry} leads to no file`;
  }
  if (!path.split(sep).includes("node_modules")) return `${entry} leads out of node_modules, to ${path}`;
  return { path, isScript: isScript(path), version: versionOf(path, packageName) };
}

/** File that a package names; what package managers write into `.bin` is not read. */
function programFile(modules: string, packageName: string, program: string): string | null {
  const folder = join(modules, packageName);
  const manifest = parseObject(readText(join(folder, "package.json")) ?? "");
  const own = textAt(objectAt(manifest, "bin"), program) ?? textAt(manifest, "bin");
  return own === null ? null : join(folder, own);
}

function isScript(path: string): boolean {
  if ([".js", ".mjs", ".cjs"].includes(extname(path))) return true;
  const bytes = Buffer.alloc(256);
  const file = openSync(path, "r");
  try {
    const [firstLine = ""] = bytes.toString("latin1", 0, readSync(file, bytes)).split("\n");
    return /^#!.*\bnode\b/.test(firstLine);
  } finally {
    closeSync(file);
  }
}

function versionOf(path: string, packageName: string): string | null {
  for (let folder = dirname(path); dirname(folder) !== folder; folder = dirname(folder)) {
    const manifest = parseObject(readText(join(folder, "package.json")) ?? "");
    if (manifest?.["name"] === packageName) return textAt(manifest, "version", 100);
  }
  return null;
}

/** Maps a tool's path, absolute or relative to the folder, to one relative to it with `/`. */
export function projectPath(root: string, path: string): string {
  const plain = path.startsWith("file://") ? fileURLToPath(path) : path;
  return relative(root, resolve(root, plain)).split(sep).join("/");
}

/**
 * Refuses a project whose code may not run. The settings of tools are code or name code, as tests
 * are, so each tool of a project is such code.
 *
 * @param isGiven a person trusts it this time; else the settings say so
 */
export function requireTrust(configFile: string, folder: string, isGiven: boolean): Result<null> {
  if (isGiven) return ok(null);
  const config = readConfig(configFile);
  if (!config.ok) return fail("bad_config", config.error);
  if (isTrusted(folder, config.value.analysis.trusted)) return ok(null);
  const message = `the tools and tests of ${folder} are code that could do anything. --trust allows that this time, and the setting analysis.trusted always.`;
  return fail("not_trusted", message);
}

/** A folder is trusted with all folders below it. */
function isTrusted(folder: string, trusted: readonly string[]): boolean {
  return trusted.some((one) => {
    const path = existsSync(one) ? realpathSync(one) : one;
    return folder === path || folder.startsWith(path.endsWith(sep) ? path : `${path}${sep}`);
  });
}

export interface Repository {
  readonly git: Git;
  /** Absolute. */
  readonly top: string;
  /** From the top to the folder, with `/`; "" for the top itself. */
  readonly prefix: string;
}

/** @returns null outside a repository, or without git */
export async function findRepository(
  env: NodeJS.ProcessEnv,
  folder: string,
  signal: AbortSignal,
): Promise<Repository | null> {
  const git = userGit(env, folder, signal);
  try {
    const top = await text(git, ["rev-parse", "--show-toplevel"]);
    const prefix = await text(git, ["rev-parse", "--show-prefix"]);
    return { git, top, prefix: prefix.replace(/\/$/, "") };
  } catch (error) {
    if (error instanceof GitError && error.fault !== "stopped") return null;
    throw error;
  }
}

/** @returns those that git ignores, and does not track */
export async function ignoredFiles({ git, prefix }: Repository, files: readonly string[]): Promise<Set<string>> {
  const inside = files.filter((file) => file !== "" && !isForeign(posix.join(prefix, file)));
  return new Set(await ignoredIn(git, [...Map.groupBy(inside, (file) => posix.dirname(file)).values()]));
}

/** Git refuses all files for one behind a link or in a submodule, where all of its folder are. */
async function ignoredIn(git: Git, folders: readonly (readonly string[])[]): Promise<string[]> {
  const { code, stdout } = await run(git, ["check-ignore", "-z", "--stdin"], folders.flat().join("\0"), [0, 1, 128]);
  if (code !== 128) return stdout.toString("utf8").split("\0");
  if (folders.length <= 1) return [];
  const half = folders.length >> 1;
  return [...(await ignoredIn(git, folders.slice(0, half))), ...(await ignoredIn(git, folders.slice(half)))];
}

/**
 * Writes the files of a commit by a repository of their own, which has no settings: no filter
 * or hook runs, symbolic links become plain files, and the user's repository is not changed.
 * Installed packages are linked.
 *
 * @returns the folder in the copy that corresponds to the repository's
 */
export async function copyCommit({ git, top, prefix }: Repository, commit: string, target: string): Promise<string> {
  const objects = await text(git, ["rev-parse", "--path-format=absolute", "--git-path", "objects"]);
  const format = await text(git, ["rev-parse", "--show-object-format"]);
  const location = { gitDir: join(target, ".git"), workTree: target, alternates: [objects] };
  const copy = repositoryGit(git.env, { ...location, config: ["core.symlinks=false"] }, git.signal);
  mkdirSync(target, { recursive: true });
  await run(copy, ["init", "--quiet", "--template=", `--object-format=${format}`]);
  await run(copy, ["read-tree", commit]);
  await run(copy, ["checkout-index", "--all", "--quiet"]);
  const manifests = await lines(copy, ["ls-files", "--", "package.json", "**/package.json"]);
  for (const folder of new Set(["", ...manifests.map((path) => dirname(path))])) {
    const installed = join(top, folder, "node_modules");
    const link = join(target, folder, "node_modules");
    if (existsSync(installed) && !existsSync(link) && existsSync(dirname(link)))
      symlinkSync(installed, link, "junction");
  }
  const folder = join(target, prefix);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** @param path normal, relative to a folder, with `/` */
export function isForeign(path: string): boolean {
  return path === ".." || path.startsWith("../") || isAbsolute(path);
}

/** Files of a work tree, as its last commit has them. */
export interface WorkTarget extends UserRepository {
  readonly base: string;
  /** Relative to the top; empty: everything. */
  readonly paths: readonly string[];
  /** Files whose changes are not committed. */
  readonly uncommitted: number;
}

/** @param given relative to `cwd`; empty: that folder */
export async function findTarget(
  env: NodeJS.ProcessEnv,
  cwd: string,
  given: readonly string[],
): Promise<Result<WorkTarget>> {
  const named = given.length === 0 ? [cwd] : given.map((path) => resolve(cwd, path));
  const missing = named.find((path) => !existsSync(path));
  if (missing !== undefined) return fail("bad_input", `there is no ${missing}.`);
  const paths = named.map((path) => realpathSync(path));
  const [first = cwd] = paths;
  try {
    return await readTarget(await openRepository(env, statSync(first).isDirectory() ? first : dirname(first)), paths);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (error.fault === "missing") return fail("no_git", `${error.message}; this works in a git worktree.`);
    return fail("bad_input", `${first} is not in the work tree of a git repository (${error.message}).`);
  }
}

async function readTarget(opened: UserRepository, absolute: readonly string[]): Promise<Result<WorkTarget>> {
  const { git, top } = opened;
  const paths = absolute.map((path) => relative(top, path).split(sep).join("/"));
  const stray = paths.findIndex(isForeign);
  if (stray >= 0) return fail("bad_input", `${absolute[stray]} is not in ${top}.`);
  const base = await findCommit(git, "HEAD");
  if (base === null) return fail("no_commit", `${top} has no commit yet: a worktree starts from one.`);
  const uncommitted = (await lines(git, ["status", "--porcelain"])).length;
  return ok({ ...opened, base, paths: paths.includes("") ? [] : paths, uncommitted });
}
