import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";

/** Git state of a project, read from `.git`: starting git costs more than a hook may take. */
export interface GitHead {
  /** Null when HEAD is detached. */
  readonly branch: string | null;
  /** Null before the first commit. */
  readonly commit: string | null;
}

/**
 * Has no links. Skips the root of the file system, a repository of the home (dotfiles), and an
 * empty folder `.git`, which is no repository for git either.
 */
export function projectRoot(folder: string, home = homedir()): string | null {
  const start = physicalPath(folder) ?? resolve(folder);
  const own = physicalPath(home) ?? home;
  for (let at = start; ; at = dirname(at)) {
    const git = join(at, ".git");
    const isThere = existsSync(git);
    const isFolder = isThere && (existsSync(join(git, "HEAD")) || existsSync(join(git, "objects")));
    if ((isFolder || (isThere && statSync(git).isFile())) && (at !== own || at === start)) return at;
    if (dirname(at) === at) return start === at ? null : start;
  }
}

/** With the letters that the disk has, in either case. @returns null: it is not there */
export function physicalPath(path: string): string | null {
  try {
    return realpathSync.native(path);
  } catch {
    return null;
  }
}

export interface FolderMarks {
  /** Mark of the folder on its file system; null: it is not there. */
  readonly folder: string | null;
  /** Beginning of the clone's history; null: it has none. */
  readonly repository: string | null;
}

/**
 * Marks that a folder keeps when it is renamed, and its repository also where it is moved. Linked
 * work trees have no mark of a repository: those that were made in one second begin alike.
 */
export function marksOf(project: string): FolderMarks {
  let folder: string | null = null;
  try {
    const { ino, birthtimeNs } = statSync(project, { bigint: true });
    folder = `${ino} ${birthtimeNs}`;
    const [began = ""] = readPart(join(project, ".git", "logs", "HEAD"), maxSmallBytes, 0).split("\n");
    return { folder, repository: began || null };
  } catch {
    // Not there, not in git, or without such a log.
    return { folder, repository: null };
  }
}

/** Returns null if not linked, or if the repository is bare or a submodule's. */
export function mainWorkTree(root: string): string | null {
  const { git, common } = gitFolders(root);
  return common !== null && git !== common && basename(common) === ".git" ? dirname(common) : null;
}

/** Git's folder of the work tree, and the one that all of the repository share; null: none. */
export function gitFolders(root: string): Readonly<Record<"git" | "common", string | null>> {
  try {
    const git = gitFolder(root);
    const link = join(git, "commondir");
    return { git, common: existsSync(link) ? resolve(git, readSmallFile(link)) : git };
  } catch {
    return { git: null, common: null };
  }
}

export interface BranchSwitch {
  /** Epoch ms of the second in which it was done. */
  readonly at: number;
  readonly from: string;
  readonly to: string;
}

const maxLogBytes = 8_192;

/** The newest switches, as git itself noted them in the log of HEAD; oldest first. */
export function branchSwitches(root: string): BranchSwitch[] {
  try {
    return readPart(join(gitFolder(root), "logs", "HEAD"), maxLogBytes)
      .split("\n")
      .flatMap((line) => toSwitch(line) ?? []);
  } catch {
    // Not in git, or without such a log.
    return [];
  }
}

/** `<old> <new> <name> <mail> <seconds> <zone> TAB checkout: moving from <a> to <b>` */
function toSwitch(line: string): BranchSwitch | null {
  const [before = "", message = ""] = line.split("\t");
  const begin = "checkout: moving from ";
  const [from = "", to = "", ...rest] = message.startsWith(begin) ? message.slice(begin.length).split(" to ") : [];
  const at = Number(before.split(" ").at(-2)) * 1_000;
  return rest.length === 0 && from !== "" && to !== "" && from !== to && Number.isFinite(at) ? { at, from, to } : null;
}

export function readHead(project: string): GitHead | null {
  try {
    const git = gitFolder(project);
    const head = readSmallFile(join(git, "HEAD"));
    const ref = /^ref: (refs\/.+)$/.exec(head)?.[1];
    // Content of the file where references are in a reftable (gitformat-reftable(5)).
    if (ref === "refs/heads/.invalid") return null;
    if (!ref) return { branch: null, commit: commitIdIn(head) };
    return { branch: ref.replace(/^refs\/heads\//, ""), commit: readRef(git, ref) };
  } catch {
    return null;
  }
}

/** Linked worktrees and submodules have a `.git` file (gitrepository-layout(5)). */
function gitFolder(project: string): string {
  const path = join(project, ".git");
  if (statSync(path).isDirectory()) return path;
  const namedFolder = /^gitdir: (.+)$/m.exec(readSmallFile(path))?.[1];
  if (!namedFolder) throw new Error(`${path} is not a folder`);
  return resolve(project, namedFolder);
}

function readRef(git: string, ref: string): string | null {
  const common = existsSync(join(git, "commondir")) ? resolve(git, readSmallFile(join(git, "commondir"))) : git;
  for (const folder of [git, common]) {
    const loose = join(folder, ref);
    if (existsSync(loose)) return commitIdIn(readSmallFile(loose));
  }
  const packed = join(common, "packed-refs");
  if (!existsSync(packed)) return null;
  const line = readSmallFile(packed, maxPackedBytes)
    .split("\n")
    .find((entry) => entry.endsWith(` ${ref}`));
  return commitIdIn(line?.split(" ")[0] ?? "");
}

/** Larger files of `.git` are not git's; only the list of packed references may be long. */
const maxSmallBytes = 4_096;
const maxPackedBytes = 16_777_216;

function readSmallFile(path: string, maxBytes = maxSmallBytes): string {
  return readGitFile(path, (file, size) => {
    if (size > maxBytes) throw new Error(`${path} is not a git file`);
    return readFileSync(file, "utf8").trim();
  });
}

/** @param from default: so that the end is read */
function readPart(path: string, bytes: number, from?: number): string {
  return readGitFile(path, (file, size) => {
    const part = Buffer.alloc(Math.min(bytes, size));
    const read = readSync(file, part, 0, part.length, from ?? size - part.length);
    return part.toString("utf8", 0, read);
  });
}

/** Reads no links and never blocks: an unpacked archive may hold anything. */
function readGitFile(path: string, read: (file: number, size: number) => string): string {
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0));
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new Error(`${path} is not a git file`);
    return read(file, stat.size);
  } finally {
    closeSync(file);
  }
}

/** Returns null for any other text, which must not be repeated. */
function commitIdIn(text: string): string | null {
  return /^[0-9a-f]{40,64}$/.test(text) ? text : null;
}
