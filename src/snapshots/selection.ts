import { lstatSync, realpathSync, type Stats } from "node:fs";
import { readdir } from "node:fs/promises";
import { relative, sep } from "node:path";
import { dirname } from "node:path/posix";
import { setImmediate as breathe } from "node:timers/promises";
import { compare } from "../shared/compare.ts";
import { isTemporary } from "../platform/leftovers.ts";
import { diskPath, displayPath, type RawPath } from "./git.ts";
import { SecretContent } from "./secret-content.ts";
import { isSecretName, secretName } from "./secret-names.ts";
import { submoduleMode, type FileChange, type WorkTreeChanges } from "./work-tree.ts";

export interface ExcludedFile {
  readonly path: string;
  readonly reason: string;
}

export function firstLeftOut(leftOut: readonly ExcludedFile[], most: number): ExcludedFile[] {
  if (leftOut.length <= most) return [...leftOut];
  return [...leftOut.slice(0, most), { path: "...", reason: `and ${leftOut.length - most} more` }];
}

/** A path of which a reading does not know how it is; a folder has a slash at the end. */
export type LeftOut = readonly [path: RawPath, reason: string];

export interface SnapshotLimits {
  readonly maxFileBytes: number;
  readonly maxTotalBytes: number;
  /** Files that a folder without git may hold. */
  readonly maxPlainFiles?: number;
  /** Untracked files, and their bytes, that a reading takes in a git repository. */
  readonly maxNewFiles?: number;
  readonly maxNewBytes?: number;
}

export const ownRepository = "a separate git repository";
export const submoduleReason = "a submodule";

export interface Selection {
  readonly taken: readonly FileChange[];
  readonly deleted: readonly FileChange[];
  /** Paths of which the snapshot keeps HEAD's state, or nothing. */
  readonly kept: readonly FileChange[];
  readonly leftOut: readonly LeftOut[];
}

/** Time in a turn of the event loop, in ms: other chats wait for it. */
export const turnMs = 2;

/**
 * Names every path that is left out, with the reason.
 *
 * @param filters drivers of the files that are left out because git keeps them through one
 */
export async function select(
  top: string,
  { changes, tracked, closedFolders }: WorkTreeChanges,
  filters: ReadonlyMap<RawPath, string>,
  limits: SnapshotLimits,
  isOwn: (path: RawPath) => boolean,
): Promise<Selection> {
  const context: SelectionContext = { top, limits, links: new Map(), content: new SecretContent() };
  const candidates: Candidate[] = [];
  const deleted: FileChange[] = [];
  const kept: FileChange[] = [];
  const leftOut: LeftOut[] = closedFolders.map((path) => [
    toRaw(path.replace(/\/?$/, "/")),
    "this folder cannot be opened",
  ]);
  const exclude = (change: FileChange, reason: string) => {
    kept.push(change);
    const path = reason === submoduleReason ? `${change.path}/` : change.path;
    leftOut.push([path, change.before ? `${reason}; the last commit's version is kept` : reason]);
  };
  let turnAt = performance.now();
  for (const change of changes) {
    if (performance.now() - turnAt > turnMs) {
      await breathe();
      turnAt = performance.now();
    }
    if (isOwn(change.path)) continue;
    const found = assessChange(context, change, filters.get(change.path));
    if (found === null) deleted.push(change);
    else if (typeof found === "string") exclude(change, found);
    else candidates.push({ change, bytes: found });
  }
  const taken = limitTotal(candidates, limits, exclude);
  const changed = new Set(changes.map(({ path }) => path));
  const unchanged = tracked.filter(({ path }) => !changed.has(path));
  return { taken, deleted, kept, leftOut: [...leftOut, ...unchangedExclusions(unchanged, filters)] };
}

/** Excludes SHIM's own folder inside the project, and files that SHIM has not finished. */
export function ownFiles(top: string, snapshots: string): (path: RawPath) => boolean {
  const inside = relative(realpathSync(top), realpathSync(snapshots)).split(sep);
  if (inside[0] === ".." || inside[0] === "") return isTemporary;
  const home = inside.length > 1 ? inside.slice(0, -1) : inside;
  const prefix = `${Buffer.from(home.join("/")).toString("latin1")}/`;
  return (path) => path.startsWith(prefix) || isTemporary(path);
}

interface Candidate {
  readonly change: FileChange;
  readonly bytes: number;
}

interface SelectionContext {
  readonly top: string;
  readonly limits: SnapshotLimits;
  readonly links: Map<string, boolean>;
  readonly content: SecretContent;
}

/**
 * @returns the bytes to take, why it is left out, or null for a deleted file: one that became a
 * folder counts as deleted, since the files in it are changes of their own
 */
function assessChange(
  context: SelectionContext,
  { path, before }: FileChange,
  filter: string | undefined,
): number | string | null {
  const { top, links } = context;
  if (path.endsWith("/")) return ownRepository;
  const stats = isBehindLink(top, path, links) ? undefined : readStats(top, path);
  if (!stats) return null;
  if (stats.isDirectory()) return before?.mode === submoduleMode ? submoduleReason : null;
  if (stats.isSymbolicLink()) return stats.size;
  if (stats.isFile() && filter !== undefined)
    return `git keeps it through the filter ${displayPath(filter)}, which is not run`;
  return exclusionReason(context, path, stats) ?? stats.size;
}

/** Returns undefined when nothing is there, or can be (a parent is a file, the name too long). */
export function readStats(top: string, path: RawPath): Stats | undefined {
  try {
    return lstatSync(diskPath(top, path), { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Git stores a link, never its target: no path below one belongs to the project. */
function isBehindLink(top: string, path: RawPath, links: Map<string, boolean>): boolean {
  const folder = dirname(path);
  if (folder === ".") return false;
  const known = links.get(folder);
  if (known !== undefined) return known;
  const isLink = isBehindLink(top, folder, links) || readStats(top, folder)?.isSymbolicLink() === true;
  links.set(folder, isLink);
  return isLink;
}

export function exclusionReason(
  { top, limits, content }: Pick<SelectionContext, "top" | "limits" | "content">,
  path: RawPath,
  stats: Stats,
): string | null {
  if (!stats.isFile()) return "a socket, pipe or device";
  if (isSecretName(path)) return secretName;
  if (stats.size > limits.maxFileBytes) return `larger than ${limits.maxFileBytes} bytes`;
  return content.reason(diskPath(top, path), path);
}

/** Prefers tracked files to new ones, then small ones to large. */
function limitTotal(
  candidates: readonly Candidate[],
  { maxTotalBytes }: SnapshotLimits,
  exclude: (change: FileChange, reason: string) => void,
): FileChange[] {
  const taken: FileChange[] = [];
  let bytes = 0;
  const sorted = [...candidates].sort(
    ({ change: a, bytes }, { change: b, bytes: others }) => Number(b.isTracked) - Number(a.isTracked) || bytes - others,
  );
  for (const { change, bytes: size } of sorted) {
    if (bytes + size > maxTotalBytes) {
      exclude(change, `the snapshot is full (${maxTotalBytes} bytes)`);
      continue;
    }
    bytes += size;
    taken.push(change);
  }
  return taken;
}

/** Names submodules, and unchanged tracked files under one of the filters. */
function unchangedExclusions(unchanged: WorkTreeChanges["tracked"], filters: ReadonlyMap<RawPath, string>): LeftOut[] {
  return unchanged.flatMap(({ path, mode }): LeftOut[] => {
    if (mode === submoduleMode) return [[`${path}/`, submoduleReason]];
    const filter = filters.get(path);
    if (filter === undefined) return [];
    return [[path, `kept as the filter ${displayPath(filter)} stored it, not as it is in the work tree`]];
  });
}

/** Stored. A file or a folder (with a slash at the end) of the project that a snapshot lacks. */
export interface UnsavedFile {
  readonly path: RawPath;
  readonly reason: string;
  /** Number of the file on its disk, which it keeps when it is moved. */
  readonly inode?: number;
  /** Time of its birth in ms: a file that has its number later is younger. */
  readonly born?: number;
  /** Size and time of the last change of its content, where its name is that of a secret. */
  readonly written?: string;
}

/** Folders of installed packages, which a project without git does not say to ignore. */
export const installed: ReadonlySet<string> = new Set(["node_modules", ".venv", "__pycache__"]);
/** Each snapshot has the list. */
const maxListed = 1_000;
export const ignoredReason = "git ignores it";

/**
 * Lists what a snapshot lacks, so that an undo can name what is gone. Folders come before
 * what is in them.
 */
export async function listUnsaved(
  top: string,
  ignored: readonly RawPath[],
  leftOut: readonly LeftOut[],
  nested: readonly RawPath[] = [],
): Promise<UnsavedFile[]> {
  const found: UnsavedFile[] = leftOut.flatMap(([path, reason]) => unsavedAt(top, path, reason));
  found.push(...nested.map((path) => ({ path: `${path}.git`, reason: ownRepository })));
  const folders = found.filter(({ path }) => path.endsWith("/"));
  for (const path of ignored) {
    const one = withInode(top, { path, reason: ignoredReason });
    found.push(one);
    if (path.endsWith("/")) folders.push(one);
  }
  for (let folder = folders.shift(); folder !== undefined && found.length < maxListed; folder = folders.shift()) {
    const { path, reason } = folder;
    if (installed.has(nameOf(path))) continue;
    // Closed, or gone by now.
    const entries = await readdir(diskPath(top, path), { withFileTypes: true, encoding: "buffer" }).catch(() => []);
    const names = entries.map((entry) => `${entry.name.toString("latin1")}${entry.isDirectory() ? "/" : ""}`);
    for (const name of names.toSorted(compare)) {
      if (name === ".git" || name === ".git/") continue;
      const one = withInode(top, { path: `${path}${name}`, reason });
      found.push(one);
      if (name.endsWith("/")) folders.push(one);
    }
  }
  return found.slice(0, maxListed);
}

function unsavedAt(top: string, path: RawPath, reason: string): UnsavedFile[] {
  const stats = readStats(top, path);
  if (!stats) return [];
  return stats.isDirectory()
    ? [{ path: path.endsWith("/") ? path : `${path}/`, reason }]
    : [withInode(top, { path, reason })];
}

function withInode(top: string, file: UnsavedFile): UnsavedFile {
  const stats = file.path.endsWith("/") ? undefined : readStats(top, file.path);
  if (stats === undefined) return file;
  const { ino: inode, birthtimeMs: born } = stats;
  return { ...file, inode, born, ...(isSecretName(file.path) && { written: writtenIn(stats) }) };
}

function writtenIn({ size, mtimeMs }: Stats): string {
  return `${size} ${mtimeMs}`;
}

/** A file that no snapshot has, which has another name now. */
export interface MovedFile {
  readonly from: RawPath;
  readonly reason: string;
  /** Whether it is as it was, and could have its name again. */
  readonly isWhole: boolean;
}

/** @returns says which of the listed files was moved to a path; null: none */
export function movedFrom(top: string, unsaved: readonly UnsavedFile[]): (path: RawPath) => MovedFile | null {
  const gone = unsaved.filter(({ path, inode }) => inode !== undefined && readStats(top, path)?.ino !== inode);
  const byInode = new Map(gone.map((file) => [file.inode, file]));
  // Where births are not known each is the last change, also of this folder, or 0.
  const folder = readStats(top, "");
  const hasBirths = folder?.birthtimeMs !== folder?.ctimeMs;
  return (path) => {
    const stats = readStats(top, path);
    const file = byInode.get(stats?.ino);
    if (file === undefined || stats === undefined) return null;
    if (hasBirths && file.born !== undefined && stats.birthtimeMs > file.born) return null;
    const isWhole = file.written === writtenIn(stats) && readStats(top, file.path) === undefined;
    const reason = `it was ${displayPath(file.path)}, which no snapshot has: ${file.reason}`;
    return { from: file.path, reason, isWhole };
  };
}

/** The listed files that are gone. A folder stands for all in it. */
export function goneOf(top: string, unsaved: readonly UnsavedFile[]): ExcludedFile[] {
  const gone = new Set<RawPath>();
  return unsaved.flatMap(({ path, reason }) => {
    if (readStats(top, path.replace(/\/$/, ""))) return [];
    gone.add(path);
    if (gone.has(parentOf(path))) return [];
    return [{ path: displayPath(path), reason: `it was deleted, and no snapshot has it: ${reason}` }];
  });
}

function parentOf(path: RawPath): RawPath {
  return path.slice(0, path.lastIndexOf("/", path.length - 2) + 1);
}

function nameOf(folder: RawPath): string {
  return folder.slice(parentOf(folder).length, -1);
}

export function toRaw(path: string): RawPath {
  return Buffer.from(path).toString("latin1");
}
