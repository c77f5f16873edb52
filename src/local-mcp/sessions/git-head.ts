import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";

/** Git state of a project, read from `.git`: starting git costs more than a hook may take. */
export interface GitHead {
  /** Null when HEAD is detached. */
  readonly branch: string | null;
  /** Null before the first commit. */
  readonly commit: string | null;
}

/** Skips the root of the file system, and a repository of the whole home (dotfiles). */
export function projectRoot(folder: string, home = homedir()): string | null {
  const start = resolve(folder);
  for (let at = start; ; at = dirname(at)) {
    if (existsSync(join(at, ".git")) && (at !== home || at === start)) return at;
    if (dirname(at) === at) return start === at ? null : start;
  }
}

/** Returns null if not linked, or if the repository is bare or a submodule's. */
export function mainWorkTree(root: string): string | null {
  try {
    const git = gitFolder(root);
    const common = resolve(git, readSmallFile(join(git, "commondir")));
    return basename(common) === ".git" ? dirname(common) : null;
  } catch {
    // Only a linked work tree has that file.
    return null;
  }
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

/** Reads no links and never blocks: an unpacked archive may hold anything. */
function readSmallFile(path: string, maxBytes = maxSmallBytes): string {
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0));
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size > maxBytes) throw new Error(`${path} is not a git file`);
    return readFileSync(file, "utf8").trim();
  } finally {
    closeSync(file);
  }
}

/** Returns null for any other text, which must not be repeated. */
function commitIdIn(text: string): string | null {
  return /^[0-9a-f]{40,64}$/.test(text) ? text : null;
}
