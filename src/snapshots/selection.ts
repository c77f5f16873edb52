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

export interface SnapshotLimits {
  readonly maxFileBytes: number;
  readonly maxTotalBytes: number;
  /** Files that a folder without git may hold. */
  readonly maxPlainFiles?: number;
}

export const ownRepository = "a separate git repository";
export const submoduleReason = "a submodule";

export interface Selection {
  readonly taken: readonly FileChange[];
  readonly bytes: number;
  readonly deleted: readonly FileChange[];
  /** Paths of which the snapshot keeps HEAD's state, or nothing. */
  readonly kept: readonly FileChange[];
  readonly leftOut: readonly ExcludedFile[];
  /** Paths of which the snapshot does not know how they are; a folder has a slash at the end. */
  readonly unknown: readonly (readonly [path: RawPath, reason: string])[];
  /** Number of those that the snapshot holds, without submodules. */
  readonly files: number;
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
  const leftOut: ExcludedFile[] = closedFolders.map((path) => ({ path, reason: "this folder cannot be opened" }));
  const unknown: [RawPath, string][] = leftOut.map(({ path, reason }) => [toRaw(path.replace(/\/?$/, "/")), reason]);
  const exclude = (change: FileChange, reason: string) => {
    kept.push(change);
    unknown.push([reason === submoduleReason ? `${change.path}/` : change.path, reason]);
    leftOut.push({
      path: displayPath(change.path),
      reason: change.before ? `${reason}; the last commit's version is kept` : reason,
    });
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
  const { taken, bytes } = limitTotal(candidates, limits, exclude);
  const changed = new Set(changes.map(({ path }) => path));
  const unchanged = tracked.filter(({ path }) => !changed.has(path));
  const files = unchanged.filter(isFile).length + taken.length + kept.filter(({ before }) => isFile(before)).length;
  const untouched = unchangedExclusions(unchanged, filters);
  unknown.push(...untouched);
  const named = untouched.map(([path, reason]) => ({ path: displayPath(path.replace(/\/$/, "")), reason }));
  return { taken, bytes, deleted, kept, leftOut: [...leftOut, ...named], unknown, files };
}

function isFile(entry: { readonly mode: string } | null): boolean {
  return entry !== null && entry.mode !== submoduleMode;
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
): { taken: FileChange[]; bytes: number } {
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
  return { taken, bytes };
}

/** Names submodules, and unchanged tracked files under one of the filters. */
function unchangedExclusions(
  unchanged: WorkTreeChanges["tracked"],
  filters: ReadonlyMap<RawPath, string>,
): [path: RawPath, reason: string][] {
  return unchanged.flatMap(({ path, mode }): [RawPath, string][] => {
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
  /** Size and epoch ms of its last change, where a change counts, too. */
  readonly stamp?: readonly [bytes: number, modifiedMs: number];
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
  leftOut: readonly ExcludedFile[],
): Promise<UnsavedFile[]> {
  const found: UnsavedFile[] = leftOut.flatMap(({ path, reason }) => stampOf(top, toRaw(path), reason));
  const folders = found.filter(({ stamp }) => stamp === undefined);
  for (const path of ignored) {
    const one = { path, reason: ignoredReason };
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
      const one = { path: `${path}${name}`, reason };
      found.push(one);
      if (name.endsWith("/")) folders.push(one);
    }
  }
  return found.slice(0, maxListed);
}

function stampOf(top: string, path: RawPath, reason: string): UnsavedFile[] {
  const stats = readStats(top, path);
  if (!stats) return [];
  if (stats.isDirectory()) return [{ path: path.endsWith("/") ? path : `${path}/`, reason }];
  return [{ path, reason, stamp: [stats.size, stats.mtimeMs] }];
}

/** The listed files that are gone, or have changed. A folder stands for all in it. */
export function lostOf(top: string, unsaved: readonly UnsavedFile[]): ExcludedFile[] {
  const gone = new Set<RawPath>();
  return unsaved.flatMap(({ path, reason, stamp }) => {
    const stats = readStats(top, path.replace(/\/$/, ""));
    if (stats) {
      const isChanged = stamp !== undefined && (stats.size !== stamp[0] || stats.mtimeMs !== stamp[1]);
      return isChanged
        ? [{ path: displayPath(path), reason: `it was changed, and no snapshot has it: ${reason}` }]
        : [];
    }
    gone.add(path);
    if (gone.has(parentOf(path))) return [];
    return [{ path: displayPath(path), reason: `it was deleted, and no snapshot has it: ${reason}` }];
  });
}

/** Left out files that are there now, and that an earlier snapshot did not lack. */
export function madeSince(
  { leftOut, unsaved }: { readonly leftOut: readonly ExcludedFile[]; readonly unsaved: readonly UnsavedFile[] },
  before: readonly UnsavedFile[],
): ExcludedFile[] {
  if (before.length >= maxListed) return [];
  const [now, then] = [pathsOf(unsaved), pathsOf(before)];
  const made = new Map<string, ExcludedFile>();
  for (const { path, reason } of leftOut) {
    const name = path.replace(/\/$/, "");
    if (!now.has(name) || then.has(name)) continue;
    made.set(name, { path, reason: `it was made or changed, and no snapshot has it: ${reason}` });
  }
  return [...made.values()];
}

function pathsOf(files: readonly UnsavedFile[]): ReadonlySet<string> {
  return new Set(files.map(({ path }) => displayPath(path).replace(/\/$/, "")));
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
