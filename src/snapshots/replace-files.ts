import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  type Stats,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, sep } from "node:path";
import { setImmediate } from "node:timers/promises";
import { codeOf, messageOf } from "../shared/error.ts";
import { realPath } from "../platform/paths.ts";
import { removeLeftovers, temporaryNames } from "../platform/leftovers.ts";
import { temporaryBeside } from "../platform/private-files.ts";
import { run, userGit } from "./git.ts";
import type { ExcludedFile } from "./selection.ts";

/** A snapshot's files in a folder of their own, beside the project that they belong to. */
export interface Staged {
  readonly folder: string;
  readonly project: string;
}

export interface FileChange {
  /** Relative to the project. */
  readonly path: string;
  /** missing: the project has no such file now; created: it alone has it. */
  readonly now: "changed" | "missing" | "created";
}

/** Runs `work` with an empty private folder, which is gone afterwards. */
export async function withStaging<T>(work: (folder: string) => Promise<T>): Promise<T> {
  removeLeftovers(tmpdir(), /^shim-restore-(\d+)-/);
  const folder = mkdtempSync(join(tmpdir(), `shim-restore-${process.pid}-`));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Staged files that differ from the project's in content, type or executable bit. Files that
 * only the project has are none of them.
 *
 * @param chosen paths of files and folders, relative to the project; empty: all
 * @returns `notCompared` are those whose file of now cannot be read
 */
export function changesOf(
  { folder, project }: Staged,
  chosen: readonly string[],
): { readonly compared: number; readonly changes: FileChange[]; readonly notCompared: ExcludedFile[] } {
  const isChosen = (path: string): boolean =>
    chosen.length === 0 || chosen.some((one) => path === one || path.startsWith(`${one}/`));
  const paths = filesIn(folder, "").filter(isChosen);
  const changes: FileChange[] = [];
  const notCompared: ExcludedFile[] = [];
  for (const path of paths) {
    try {
      const now = compareFile(join(folder, path), join(project, path));
      if (now !== "same") changes.push({ path, now });
    } catch (error) {
      notCompared.push({ path, reason: messageOf(error) });
    }
  }
  return { compared: paths.length - notCompared.length, changes, notCompared };
}

/** @throws {Error} when the file of now cannot be read */
function compareFile(one: string, other: string): "same" | "changed" | "missing" {
  const [then, now] = [lstatSync(one), statsOf(other)];
  if (!now) return "missing";
  if (now.isFile()) accessSync(other, constants.R_OK);
  requireOrdinary(now);
  return isSame(one, then, other, now) ? "same" : "changed";
}

/** Reading a pipe would wait for its writer. */
function requireOrdinary(now: Stats): void {
  if (now.isFile() || now.isSymbolicLink() || now.isDirectory()) return;
  throw new Error("there is a pipe, a socket or a device of this name");
}

function filesIn(folder: string, above: string): string[] {
  return readdirSync(join(folder, above), { withFileTypes: true }).flatMap((entry) => {
    const path = above === "" ? entry.name : `${above}/${entry.name}`;
    return entry.isDirectory() ? filesIn(folder, path) : [path];
  });
}

function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // A folder of the path is a file now.
    if (codeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

function isSame(one: string, its: Stats, other: string, others: Stats): boolean {
  if (its.isSymbolicLink() || others.isSymbolicLink())
    return its.isSymbolicLink() && others.isSymbolicLink() && readlinkSync(one) === readlinkSync(other);
  if (!others.isFile() || its.size !== others.size || isExecutable(its) !== isExecutable(others)) return false;
  return readFileSync(one).equals(readFileSync(other));
}

function isExecutable({ mode }: Stats): boolean {
  return process.platform !== "win32" && (mode & 0o100) !== 0;
}

/** Diff from the project's files to the staged ones, as `git diff` prints it. */
export async function diffOf(
  { folder, project }: Staged,
  changes: readonly FileChange[],
  { env, timeoutMs }: { readonly env: NodeJS.ProcessEnv; readonly timeoutMs: number },
): Promise<string> {
  return withStaging(async (scratch) => {
    for (const { path, now } of changes) {
      if (now !== "created") copy(join(folder, path), join(scratch, "then", path));
      if (now !== "missing") copyIfFile(join(project, path), join(scratch, "now", path));
    }
    for (const name of ["now", "then"]) mkdirSync(join(scratch, name), { recursive: true });
    const args = ["diff", "--no-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-prefix", "now", "then"];
    // Exit 1: they differ.
    const { stdout } = await run(userGit(env, scratch, AbortSignal.timeout(timeoutMs)), args, "", [0, 1]);
    return stdout.toString("utf8");
  });
}

export interface ReplacedFiles {
  readonly written: readonly string[];
  readonly notRestored: readonly ExcludedFile[];
  /** Copies of the replaced files; null: there was nothing to replace. */
  readonly backup: string | null;
}

/**
 * Puts the changes into the project, each file whole or not at all. Copies what it
 * replaces first; leaves a path whose folder is a link out of the project. A created file goes, and
 * a folder that is empty then.
 *
 * @param backup a folder that does not exist; null: a snapshot has what is replaced
 * @param isStopped asked before each file; true: the rest stays as it is
 */
export async function replaceFiles(
  staged: Staged,
  changes: readonly FileChange[],
  backup: string | null,
  isStopped = (): boolean => false,
): Promise<ReplacedFiles> {
  const { folder, project } = staged;
  const written: string[] = [];
  const notRestored: ExcludedFile[] = [];
  const cleared = new Set<string>();
  // A file may stand where a folder of created ones is, and the other way round.
  const removedFirst = changes.toSorted(
    (one, other) => Number(other.now === "created") - Number(one.now === "created"),
  );
  for (const [at, { path, now }] of removedFirst.entries()) {
    // Signals arrive between two turns of the event loop.
    if (at % filesPerTurn === 0) await setImmediate();
    if (isStopped()) break;
    try {
      const target = join(project, path);
      requireInside(project, target);
      const parent = dirname(target);
      if (!cleared.has(parent)) removeLeftovers(parent, temporaryNames);
      cleared.add(parent);
      if (backup !== null) copyIfFile(target, join(backup, path));
      if (now === "created") remove(project, target);
      else replace(join(folder, path), target);
      written.push(path);
    } catch (error) {
      notRestored.push({ path, reason: messageOf(error) });
    }
  }
  return { written, notRestored, backup: backup !== null && existsSync(backup) ? backup : null };
}

const filesPerTurn = 50;

function remove(project: string, target: string): void {
  rmSync(target);
  for (let folder = dirname(target); folder !== project && readdirSync(folder).length === 0; folder = dirname(folder))
    rmdirSync(folder);
}

/** A linked folder may lead out of the project. */
function requireInside(project: string, target: string): void {
  let parent = dirname(target);
  while (!existsSync(parent)) parent = dirname(parent);
  const [top, real] = [realPath(project), realPath(parent)];
  if (real !== top && !real.startsWith(top + sep)) throw new Error("its folder is a link out of the project");
  const stats = statsOf(target);
  if (stats?.isDirectory()) throw new Error("there is a folder of this name");
  if (stats) requireOrdinary(stats);
}

function replace(from: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  const temporary = temporaryBeside(target);
  try {
    rmSync(temporary, { force: true });
    copy(from, temporary);
    renameSync(temporary, target);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function copyIfFile(from: string, to: string): void {
  const stats = statsOf(from);
  if (stats?.isFile() || stats?.isSymbolicLink()) copy(from, to);
}

function copy(from: string, to: string): void {
  const stats = lstatSync(from);
  mkdirSync(dirname(to), { recursive: true });
  if (stats.isSymbolicLink()) return symlinkSync(readlinkSync(from), to);
  copyFileSync(from, to);
  chmodSync(to, stats.mode & 0o777);
}
