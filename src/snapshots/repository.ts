import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Processes } from "../platform/processes.ts";
import { createPrivateFolder, renameDurably, syncFile, syncFolder } from "../platform/private-files.ts";
import { repositoryGit, quoteFolder, run, text, type Git } from "./git.ts";
import { withLock } from "./repository-lock.ts";
import type { WorkTree } from "./work-tree.ts";

/** What the snapshot functions use of the outside; a `Runtime` has both. */
export interface SnapshotHost {
  readonly env: NodeJS.ProcessEnv;
  readonly processes: Processes;
}

/**
 * SHIM's repository of a project, held under its lock, with a scratch git folder beside it. Work is done in the scratch; only
 * finished packs and refs enter the repository, so whatever stops the work leaves nothing behind.
 */
export interface OpenRepository {
  readonly host: SnapshotHost;
  readonly signal: AbortSignal;
  readonly repository: string;
  /** Objects that SHIM owns. */
  readonly owned: string;
  /** A bare git folder for this one run. */
  readonly scratch: string;
}

const refPrefix = "refs/shim/";

export function refOf(checkpointId: string): string {
  return `${refPrefix}${checkpointId}`;
}

/** One repository per project: linked work trees share the objects of their main repository, so they share this too. */
export function repositoryFor(snapshots: string, tree: WorkTree): string {
  const name = createHash("sha256").update(`${tree.format}\0${tree.commonDir}`).digest("hex").slice(0, 32);
  return join(snapshots, `${name}.git`);
}

/**
 * Opens SHIM's repository under its lock.
 *
 * @param tree the project to make the repository for when there is none yet; null: it must be there
 * @throws {GitError} when it is stopped while it waits, or git fails
 */
export async function withRepository<T>(
  host: SnapshotHost,
  repository: string,
  tree: WorkTree | null,
  signal: AbortSignal,
  body: (opened: OpenRepository) => Promise<T>,
): Promise<T> {
  createPrivateFolder(dirname(repository));
  return withLock(`${repository}.lock`, host.processes, signal, async () => {
    clearLeftovers(repository);
    if (tree && !existsSync(join(repository, "HEAD"))) await createRepository(host, repository, tree, signal);
    const scratch = mkdtempSync(`${repository}.work-`);
    try {
      prepareScratch(repository, scratch);
      return await body({ host, signal, repository, owned: join(repository, "objects"), scratch });
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
}

/** Under the lock nobody else works here, so what a killed process left can go: its scratch, git's locks, half-written packs. */
function clearLeftovers(repository: string): void {
  const parentFolder = dirname(repository);
  const stale = readdirSync(parentFolder)
    .filter(
      (name) => name.startsWith(`${basename(repository)}.work-`) || name.startsWith(`${basename(repository)}.new-`),
    )
    .map((name) => join(parentFolder, name));
  const inside = ["refs/shim", "objects/pack", "."].flatMap((folder) => {
    const path = join(repository, folder);
    const names = existsSync(path) ? readdirSync(path) : [];
    return names.filter((name) => /\.lock$|^\.?tmp[-_]/.test(name)).map((name) => join(path, name));
  });
  for (const path of [...stale, ...inside]) rmSync(path, { recursive: true, force: true });
}

/** Appears whole or not at all. Where only parts of an older one are left, they are kept: git adds what it misses. */
async function createRepository(
  host: SnapshotHost,
  repository: string,
  tree: WorkTree,
  signal: AbortSignal,
): Promise<void> {
  const isDamaged = existsSync(repository);
  // mkdtemp makes it 0700.
  const gitDir = isDamaged ? repository : mkdtempSync(`${repository}.new-`);
  const git = repositoryGit(host.env, { gitDir }, signal);
  const format = `--object-format=${tree.format}`;
  await run(git, ["init", "--bare", "--quiet", "--template=", "--initial-branch=none", format]);
  await run(git, ["config", "shim.objects", tree.objects]);
  syncRepository(gitDir);
  if (!isDamaged) renameDurably(gitDir, repository);
}

/** Git syncs neither its settings nor its folders: a repository whose HEAD is empty after a power cut would be none for ever. */
function syncRepository(gitDir: string): void {
  for (const file of ["HEAD", "config"]) syncFile(join(gitDir, file));
  for (const folder of ["objects/pack", "objects", "refs", "."]) syncFolder(join(gitDir, folder));
}

/** Makes an empty folder a bare git folder with the format of the repository. */
export function prepareScratch(repository: string, scratch: string): void {
  for (const folder of ["objects/pack", "objects/info", "refs", "info"]) {
    mkdirSync(join(scratch, folder), { recursive: true });
  }
  if (!existsSync(join(repository, "HEAD"))) return;
  for (const file of ["HEAD", "config"]) copyFileSync(join(repository, file), join(scratch, file));
}

/** Git in SHIM's repository itself, seeing only what SHIM owns. */
export function inRepository(opened: OpenRepository): Git {
  return repositoryGit(opened.host.env, { gitDir: opened.repository }, opened.signal);
}

/** Commands for `git update-ref --stdin`; what they have done is on the disk when it returns. */
export async function updateRefs(opened: OpenRepository, commands: string): Promise<void> {
  await run(inRepository(opened), ["update-ref", "--stdin"], commands);
  const folder = join(opened.repository, "refs/shim");
  // Git removes it with the last reference.
  if (existsSync(folder)) syncFolder(folder);
  syncFolder(dirname(folder));
}

/** Where the project kept its objects when the repository was made; null when that is unknown or gone. */
export async function projectObjects(opened: OpenRepository): Promise<string | null> {
  const objects = await text(inRepository(opened), ["config", "--get", "shim.objects"]);
  return existsSync(objects) ? objects : null;
}

/** Makes other programs that open the scratch (git fetch) see these objects too. */
export function shareObjects(opened: OpenRepository, folders: readonly string[]): void {
  writeFileSync(
    join(opened.scratch, "objects/info/alternates"),
    folders.map((folder) => `${quoteFolder(folder)}\n`).join(""),
  );
}
