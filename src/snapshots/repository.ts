import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  createPrivateFolder,
  renameDurably,
  syncFile,
  syncFolder,
  writeAtomically,
} from "../platform/private-files.ts";
import { withLock } from "../platform/process-lock.ts";
import type { Processes } from "../platform/processes.ts";
import { lines, repositoryGit, run, text, type Git } from "./git.ts";
import type { ExcludedFile, SnapshotLimits } from "./selection.ts";
import type { WorkTree } from "./work-tree.ts";

/**
 * SHIM's repository of a project, under its lock. Work is done in a scratch git folder beside it;
 * only finished packs and refs enter the repository, so an interruption leaves nothing behind.
 */
export interface OpenRepository {
  readonly host: SnapshotDeps;
  readonly signal: AbortSignal;
  readonly repository: string;
  readonly owned: string;
  readonly scratch: string;
  /** Objects of repositories that hold earlier snapshots of the project. */
  readonly earlier: readonly string[];
}

/** @throws {Error} for an id that is not made of letters, digits, _ and - */
export function refOf(checkpointId: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,199}$/.test(checkpointId)) return `refs/shim/${checkpointId}`;
  throw new Error(`a checkpoint id has letters, digits, _ and - only: ${checkpointId}`);
}

export function repositoryFor(snapshots: string, tree: Pick<WorkTree, "format" | "commonDir">): string {
  const name = createHash("sha256").update(`${tree.format}\0${tree.commonDir}`).digest("hex").slice(0, 32);
  return join(snapshots, `${name}.git`);
}

/**
 * The newest snapshot, where all of its content is in SHIM's repository: the next one adds
 * what it lacks. Its index is kept for what the project's own index does not tell: the files of a
 * folder without git, and those that git stores in another form.
 */
export interface Base {
  readonly checkpointId: string;
  readonly commit: string;
  /** Tree of the commit, and the last line of its message. */
  readonly root: string;
  readonly about: string;
  /** Facts that show without git whether the project has changed; null: unknown. */
  readonly seen: SeenProject | null;
}

interface StoredBase extends Base {
  /** Names and sizes in bytes of the packs that hold it. */
  readonly packs: readonly string[];
}

const baseFile = "base.json";
export const baseIndex = "base-index";

/** @returns null also where a pack has gone: the next snapshot then adds what is lost */
export function readBase(opened: Pick<OpenRepository, "repository" | "owned">): Base | null {
  let base: StoredBase;
  try {
    // Written by this module alone; a power cut may leave a part.
    base = JSON.parse(readFileSync(join(opened.repository, baseFile), "utf8")) as StoredBase;
  } catch {
    return null;
  }
  const present = new Set(packsOf(opened));
  return base.packs.every((one) => present.has(one)) ? base : null;
}

function packsOf({ owned }: Pick<OpenRepository, "owned">): string[] {
  const folder = join(owned, "pack");
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /^pack-.*\.(pack|idx)$/.test(name)) : [];
  return names.map((name) => `${name} ${statSync(join(folder, name)).size}`);
}

/** @param index kept with it, where it is there; null: the one that is kept stays */
export function writeBase(
  opened: Pick<OpenRepository, "repository" | "owned">,
  base: Base,
  index: string | null,
): void {
  const { repository } = opened;
  if (index !== null && existsSync(index)) {
    const fresh = join(repository, "tmp_index");
    copyFileSync(index, fresh);
    // Git compares what is as young as its index.
    const { atime, mtime } = statSync(index);
    utimesSync(fresh, atime, mtime);
    renameSync(fresh, join(repository, baseIndex));
  }
  const text = JSON.stringify({ ...base, packs: packsOf(opened) });
  writeFileSync(join(repository, "tmp_base"), text, { mode: 0o600 });
  renameSync(join(repository, "tmp_base"), join(repository, baseFile));
}

export function copyIndex(index: string, scratch: string, name = "index"): void {
  if (!existsSync(index)) return;
  const copy = join(scratch, name);
  copyFileSync(index, copy);
  // Git trusts files older than the index: a younger index copy would hide changes, an older one
  // only costs a comparison.
  const { mtimeMs } = statSync(index);
  const seconds = Math.floor(mtimeMs / 1_000) - 1;
  utimesSync(copy, seconds, seconds);
}

/** @returns when it was written, in epoch ms by the file system's clock; null: there is none */
export function baseTime(repository: string): number | null {
  return statSync(join(repository, baseFile), { throwIfNoEntry: false })?.mtimeMs ?? null;
}

export function removeBase(repository: string): void {
  for (const name of [baseFile, baseIndex]) rmSync(join(repository, name), { force: true });
}

/**
 * @param tree project to create it for; null: it must exist
 * @throws {GitError} when aborted while waiting, or git fails
 */
export async function withRepository<T>(
  host: SnapshotDeps,
  repository: string,
  tree: WorkTree | null,
  signal: AbortSignal,
  body: (opened: OpenRepository) => Promise<T>,
): Promise<T> {
  createPrivateFolder(dirname(repository));
  return withLock(`${repository}.lock`, host.processes, signal, async () => {
    await clearLeftovers(repository);
    const scratch = mkdtempSync(`${repository}.work-`);
    healHead(repository);
    try {
      if (tree && !existsSync(join(repository, "HEAD"))) {
        await createRepository(host, { repository, fresh: join(scratch, "new") }, tree, signal);
      }
      prepareScratch(repository, scratch);
      useBytes(scratch);
      const earlier = earlierObjects(repository, host.earlier ?? []);
      return await body({ host, signal, repository, owned: join(repository, "objects"), scratch, earlier });
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
}

/** A power cut may have left it empty; without it git finds no repository. */
function healHead(repository: string): void {
  const head = join(repository, "HEAD");
  if (!existsSync(head) || /^(?:ref: refs\/|[0-9a-f]{40})/.test(readFileSync(head, "utf8"))) return;
  writeAtomically(head, "ref: refs/heads/none\n");
}

function isWide(repository: string): boolean {
  return /objectformat\s*=\s*sha256/i.test(readFileSync(join(repository, "config"), "utf8"));
}

/** Git reads objects of one format only. */
function earlierObjects(repository: string, others: readonly string[]): string[] {
  return others
    .filter((one) => one !== repository && existsSync(join(one, "config")) && isWide(one) === isWide(repository))
    .map((one) => join(one, "objects"));
}

async function clearLeftovers(repository: string): Promise<void> {
  const parentFolder = dirname(repository);
  const stale = readdirSync(parentFolder)
    .filter((name) => name.startsWith(`${basename(repository)}.work-`))
    .map((name) => join(parentFolder, name));
  const inside = ["refs/shim", "objects/pack", "."].flatMap((folder) => {
    const path = join(repository, folder);
    const names = existsSync(path) ? readdirSync(path) : [];
    return names.filter((name) => /\.(?:lock|tmp)$|^\.?tmp[-_]/.test(name)).map((name) => join(path, name));
  });
  for (const path of [...stale, ...inside]) await rm(path, { recursive: true, force: true });
}

/** Creates it whole or not at all. Parts of a damaged one are kept: git adds what it lacks. */
async function createRepository(
  host: SnapshotDeps,
  { repository, fresh }: { readonly repository: string; readonly fresh: string },
  tree: WorkTree,
  signal: AbortSignal,
): Promise<void> {
  const isDamaged = existsSync(repository);
  const gitDir = isDamaged ? repository : fresh;
  mkdirSync(gitDir, { recursive: true, mode: 0o700 });
  const git = repositoryGit(host.env, { gitDir }, signal);
  const format = `--object-format=${tree.format}`;
  await run(git, ["init", "--bare", "--quiet", "--template=", "--shared=0600", "--initial-branch=none", format]);
  await run(git, ["config", "shim.objects", tree.objects]);
  // Git syncs neither settings nor folders; after a power cut an empty HEAD would be permanent.
  for (const file of ["HEAD", "config"]) syncFile(join(gitDir, file));
  for (const folder of ["objects/pack", "objects", "refs", "."]) syncFolder(join(gitDir, folder));
  if (!isDamaged) renameDurably(gitDir, repository);
}

export function prepareScratch(repository: string, scratch: string): void {
  for (const folder of ["objects/pack", "objects/info", "refs", "info"]) {
    mkdirSync(join(scratch, folder), { recursive: true });
  }
  if (!existsSync(join(repository, "HEAD"))) return;
  for (const file of ["HEAD", "config"]) copyFileSync(join(repository, file), join(scratch, file));
}

/**
 * From now on git neither converts nor filters content in this scratch, whatever attributes
 * and settings say: these rules come before all others.
 */
export function useBytes(scratch: string): void {
  writeFileSync(join(scratch, "info/attributes"), "* -text -ident -filter -working-tree-encoding\n");
}

export function inRepository(opened: OpenRepository): Git {
  return repositoryGit(opened.host.env, { gitDir: opened.repository }, opened.signal);
}

/** Makes or moves the reference of a checkpoint; the commit is in the repository. */
export function writeRef(repository: string, checkpointId: string, commit: string): void {
  const path = join(repository, refOf(checkpointId));
  createPrivateFolder(dirname(path));
  writeAtomically(path, `${commit}\n`);
}

export async function projectObjects(opened: OpenRepository): Promise<string | null> {
  const objects = await text(inRepository(opened), ["config", "--get", "shim.objects"]);
  return existsSync(objects) ? objects : null;
}

/** Bytes per pack, so that an interrupted run keeps its finished packs. */
const packBytes = 33_554_432;

export interface StoredObject {
  readonly id: string;
  /** "missing": git has none of this id. */
  readonly type: string;
  /** Bytes of its content. */
  readonly size: number;
  /** Bytes that it takes on the disk. */
  readonly bytes: number;
}

/**
 * Lists ids needed by a commit or tree; `absent` in a partial clone or after pruning.
 *
 * @param base tree whose own are not listed; beside a tree git leaves out nothing of a commit
 */
export async function listNeeded(git: Git, root: string, base?: string): Promise<{ ids: string[]; absent: string[] }> {
  const known = base === undefined ? [] : [`^${base}`];
  const answer = await lines(git, ["rev-list", "--objects", "--no-object-names", "--missing=print", root, ...known]);
  return {
    ids: answer.filter((id) => !id.startsWith("?")),
    absent: answer.filter((id) => id.startsWith("?")).map((id) => id.slice(1)),
  };
}

export async function describe(git: Git, ids: readonly string[]): Promise<StoredObject[]> {
  const wanted = [...new Set(ids)];
  if (wanted.length === 0) return [];
  const format = "--batch-check=%(objectname) %(objecttype) %(objectsize) %(objectsize:disk)";
  const answer = await lines(git, ["cat-file", format], idLines(wanted));
  return wanted.map((id, at) => {
    const [, type = "", size, bytes] = answer[at]?.split(" ") ?? [];
    return { id, type, size: Number(size), bytes: Number(bytes) };
  });
}

/** Objects that have a file each in a git folder: asking for each of 200,000 takes seconds. */
export function looseIds(gitDir: string): ReadonlySet<string> {
  const objects = join(gitDir, "objects");
  const folders = existsSync(objects) ? readdirSync(objects).filter((name) => /^[0-9a-f]{2}$/.test(name)) : [];
  return new Set(folders.flatMap((name) => readdirSync(join(objects, name)).map((rest) => name + rest)));
}

/** Copies objects into one pack synced to disk; returns its name, or null for no objects. */
export async function pack(git: Git, folder: string, ids: readonly string[]): Promise<string | null> {
  if (ids.length === 0) return null;
  // No delta search: the project's deltas are reused, the rest is small or repacked later.
  const [name] = await lines(git, ["pack-objects", "-q", "--window=0", join(folder, "pack/pack")], idLines(ids));
  // Git syncs its files, but not their folder.
  syncFolder(join(folder, "pack"));
  return name ?? null;
}

export function splitIntoPacks(objects: readonly StoredObject[], maxBytes: number): string[][] {
  const result: string[][] = [];
  let total = 0;
  let inPack = Infinity;
  for (const { id, bytes } of [...objects].sort((a, b) => a.bytes - b.bytes)) {
    total += bytes;
    if (total > maxBytes) break;
    if (inPack + bytes > packBytes) {
      result.push([]);
      inPack = 0;
    }
    inPack += bytes;
    result.at(-1)?.push(id);
  }
  return result;
}

function idLines(ids: readonly string[]): string {
  return ids.map((id) => `${id}\n`).join("");
}

export function readingGit(
  opened: OpenRepository,
  others: readonly string[],
  workTree?: string,
  config: readonly string[] = [],
): Git {
  const location = { gitDir: opened.scratch, alternates: [opened.owned, ...opened.earlier, ...others], config };
  const { env } = opened.host;
  const git = repositoryGit(env, workTree === undefined ? location : { ...location, workTree }, opened.signal);
  // Git may refresh the index, which is a copy.
  return { ...git, env: { ...git.env, GIT_OPTIONAL_LOCKS: "1" } };
}

export interface SnapshotDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly processes: Processes;
  /** Repositories with earlier snapshots: `git init`, and its removal, give a project another. */
  readonly earlier?: readonly string[];
}

export interface SnapshotInput extends SnapshotDeps {
  readonly project: string;
  readonly snapshots: string;
  readonly checkpointId: string;
  /** Other checkpoints that wait for the same reading. */
  readonly alsoFor?: readonly string[];
  readonly now: number;
  readonly limits: SnapshotLimits & { readonly timeoutMs: number };
  readonly signal?: AbortSignal;
}

export interface DoneSnapshot {
  readonly state: "done";
  readonly head: string | null;
  readonly branch: string | null;
  /** Commit without a parent; `head` is its base. */
  readonly commit: string;
  readonly repository: string;
  readonly leftOut: readonly ExcludedFile[];
  /** Unchanged files whose content is still only in the project's objects. */
  readonly borrowed: number;
}

export type Snapshot =
  | DoneSnapshot
  | { readonly state: "skipped"; readonly reason: string }
  | { readonly state: "failed"; readonly reason: string };

/** Stored. The project of the newest snapshot, by what the next one can see without git. */
export interface SeenProject {
  /** Digest of what git reads beside the work tree. */
  readonly settings: string;
  /** Digest of the names, sizes and times of the files. */
  readonly files: string;
  readonly entries: number;
  readonly top: string;
  /** Names as displayed; a folder has a slash at the end. */
  readonly ignored: readonly string[];
  /** Files beside the project that say what is ignored and converted. */
  readonly rules: readonly string[];
  readonly snapshot: DoneSnapshot;
}
