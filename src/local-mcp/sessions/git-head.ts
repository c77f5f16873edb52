import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** Where a project stands: read from the files of `.git`, since starting git costs more than a hook may take. */
export interface GitHead {
  /** Null when HEAD is detached. */
  readonly branch: string | null;
  /** Null before the first commit. */
  readonly commit: string | null;
}

/** The nearest folder upwards that holds a `.git`; else the folder itself. The root of the file system is no project. */
export function projectRoot(folder: string): string | null {
  const start = resolve(folder);
  for (let at = start; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (dirname(at) === at) return start === at ? null : start;
  }
}

/** Null outside of git, or when its files cannot be read. */
export function readHead(project: string): GitHead | null {
  try {
    const git = gitFolder(project);
    const head = readFileSync(join(git, "HEAD"), "utf8").trim();
    const ref = /^ref: (refs\/.+)$/.exec(head)?.[1];
    // What the file says where the references are in a reftable (gitformat-reftable(5)).
    if (ref === "refs/heads/.invalid") return null;
    if (!ref) return { branch: null, commit: head };
    return { branch: ref.replace(/^refs\/heads\//, ""), commit: readRef(git, ref) };
  } catch {
    return null;
  }
}

/** In a linked worktree or submodule `.git` is a file that names the folder (gitrepository-layout(5)). */
function gitFolder(project: string): string {
  const path = join(project, ".git");
  if (statSync(path).isDirectory()) return path;
  const named = /^gitdir: (.+)$/m.exec(readFileSync(path, "utf8"))?.[1];
  if (!named) throw new Error(`${path} names no folder`);
  return resolve(project, named);
}

function readRef(git: string, ref: string): string | null {
  const common = existsSync(join(git, "commondir"))
    ? resolve(git, readFileSync(join(git, "commondir"), "utf8").trim())
    : git;
  for (const folder of [git, common]) {
    const loose = join(folder, ref);
    if (existsSync(loose)) return readFileSync(loose, "utf8").trim();
  }
  const packed = join(common, "packed-refs");
  if (!existsSync(packed)) return null;
  const line = readFileSync(packed, "utf8")
    .split("\n")
    .find((entry) => entry.endsWith(` ${ref}`));
  return line?.split(" ")[0] ?? null;
}
