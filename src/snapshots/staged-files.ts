import {
  chmodSync,
  constants,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { stagingNames } from "../platform/leftovers.ts";
import { writeAtomically } from "../platform/private-files.ts";
import { isRunning } from "../platform/processes.ts";
import { codeOf, messageOf } from "../shared/error.ts";
import { entryOnDisk, formatOf, hasSameContent, rightsIn, statsOf } from "./file-entry.ts";
import { diskPath, displayPath, pathInside, type RawPath } from "./git.ts";
import type { LeftOut } from "./selection.ts";
import type { UndoneFile } from "./undo-history.ts";

/** A file that is to change, beside what it is to become. */
export interface StagedFile extends UndoneFile {
  readonly target: Buffer;
  /** Has what is there now, as soon as that is replaced. */
  readonly kept: string;
  /** The file as it is to be. */
  readonly staged: string;
}

/** Stored. */
interface Plan {
  /** From the staging folder to the project. */
  readonly toTop: string;
  /** Gets the kept files; null: a snapshot has them. */
  readonly backup: string | null;
  readonly changes: readonly UndoneFile[];
}

/** Staging folders of one replacement, one on each disk: a file takes its name by a rename. */
export class Staging {
  readonly #top: string;
  readonly #source: string;
  readonly #backup: string | null;
  readonly #plans = new Map<string, { readonly folder: string; readonly changes: UndoneFile[] }>();

  /**
   * @param source has the files as they are to be
   * @param backup a folder that does not exist, for what is replaced; null: a snapshot has it
   */
  constructor(top: string, source: string, backup: string | null) {
    this.#top = top;
    this.#source = source;
    this.#backup = backup;
  }

  /** @throws {Error} when the file cannot be staged */
  add(change: UndoneFile): StagedFile {
    const { path, after } = change;
    const { folder, changes } = this.#planFor(path);
    const file = stagedFile(this.#top, folder, change, changes.push(change) - 1);
    if (after === null) return file;
    copyFile(diskPath(this.#source, pathInside(path)), Buffer.from(file.staged));
    if (!hasSameContent(entryOnDisk(file.staged, formatOf(after)), after)) throw new Error("git could not write it");
    const mode = rightsIn(after);
    if (mode !== null) chmodSync(file.staged, mode);
    return file;
  }

  #planFor(path: RawPath): { readonly folder: string; readonly changes: UndoneFile[] } {
    const root = join(this.#top, displayPath(diskRoot(this.#top, path)));
    const known = this.#plans.get(root);
    if (known) return known;
    settleLeftovers(root);
    const folder = mkdtempSync(join(root, `.shim-undo-${process.pid}-`));
    const made = { folder, changes: [] };
    this.#plans.set(root, made);
    writeFileSync(join(folder, ".gitignore"), "*\n");
    return made;
  }

  /** From here on a killed replacement can be settled. */
  write(): void {
    for (const { folder, changes } of this.#plans.values()) {
      const plan: Plan = { toTop: relative(folder, this.#top), backup: this.#backup, changes };
      writeAtomically(join(folder, planFile), JSON.stringify(plan));
    }
  }

  /** @returns files that were written meanwhile */
  settle(): LeftOut[] {
    return [...this.#plans.values()].flatMap(({ folder }) => settle(folder));
  }
}

const planFile = "plan.json";

function stagedFile(top: string, folder: string, change: UndoneFile, number: number): StagedFile {
  const [kept, staged] = [join(folder, `old-${number}`), join(folder, `new-${number}`)];
  return { ...change, target: diskPath(top, change.path), kept, staged };
}

/** The outermost folder of the project that is on the disk of this path. */
function diskRoot(top: string, path: RawPath): RawPath {
  let [root, disk] = ["", lstatSync(top).dev];
  for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
    const folder = path.slice(0, end);
    const stats = statsOf(diskPath(top, folder));
    if (!stats?.isDirectory()) break;
    if (stats.dev !== disk) [root, disk] = [folder, stats.dev];
  }
  return root;
}

/** Ends what killed processes have begun in this folder. */
export function settleLeftovers(root: string): void {
  for (const name of readdirSync(root)) {
    const pid = Number(stagingNames.exec(name)?.[1] ?? 0);
    if (pid !== 0 && !isRunning(pid)) settle(join(root, name));
  }
}

/** Ends a staging folder. One that cannot be settled may hold the only copy of a file: it stays. */
function settle(folder: string): LeftOut[] {
  const plan = readPlan(folder);
  if (plan === null) {
    rmSync(folder, { recursive: true, force: true });
    return [];
  }
  const top = join(folder, plan.toTop);
  const left: LeftOut[] = [];
  let isSettled = true;
  for (const [number, change] of plan.changes.entries()) {
    const file = stagedFile(top, folder, change, number);
    try {
      if (isTakenBack(file)) left.push([change.path, changedMeanwhile]);
      else if (plan.backup !== null && isReplaced(file)) moveFile(file.kept, diskPath(plan.backup, change.path));
    } catch (error) {
      isSettled = false;
      left.push([change.path, `${messageOf(error)}: what was there is in ${file.kept}`]);
    }
  }
  try {
    if (isSettled) rmSync(folder, { recursive: true, force: true });
  } catch {
    // On Windows another program may hold a file in it: the next one removes it.
  }
  return left;
}

/** @returns null: nothing was changed yet */
function readPlan(folder: string): Plan | null {
  try {
    return JSON.parse(readFileSync(join(folder, planFile), "utf8")) as Plan;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

function isReplaced({ kept, target }: StagedFile): boolean {
  const stats = statsOf(kept);
  return stats !== null && stats.ino !== statsOf(target)?.ino;
}

export const changedMeanwhile = "it was changed meanwhile";

/** A kept file that was written after its comparison goes back, unless a newer one is there. */
export function isTakenBack({ target, kept, before, after }: StagedFile): boolean {
  const format = formatOf(before, after);
  if (statsOf(kept) === null || hasSameContent(entryOnDisk(kept, format), before)) return false;
  const now = entryOnDisk(target, format);
  if (now === null) addName(kept, target);
  else if (hasSameContent(now, after)) renameSync(kept, target);
  return true;
}

/** Codes of disks without hard links, and of files that may not have one. */
const noLinkCodes: ReadonlySet<string | null> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** Gives a file a second name, or copies it where that cannot be. @throws {Error} EEXIST */
export function addName(from: Buffer | string, to: Buffer | string): void {
  const stats = lstatSync(from);
  if (stats.isSymbolicLink()) return symlinkSync(readlinkSync(from, "buffer"), to);
  try {
    linkSync(from, to);
  } catch (error) {
    if (!noLinkCodes.has(codeOf(error))) throw error;
    copyFileSync(from, to, constants.COPYFILE_EXCL);
    chmodSync(to, stats.mode & 0o7777);
  }
}

/** Copies a file or link, and makes the folders above it. */
function copyFile(from: Buffer | string, to: Buffer): void {
  mkdirSync(to.subarray(0, to.lastIndexOf("/")), { recursive: true });
  const stats = lstatSync(from);
  if (stats.isSymbolicLink()) symlinkSync(readlinkSync(from, "buffer"), to);
  else copyFileSync(from, to);
}

function moveFile(from: string, to: Buffer): void {
  mkdirSync(to.subarray(0, to.lastIndexOf("/")), { recursive: true });
  try {
    renameSync(from, to);
  } catch (error) {
    if (codeOf(error) !== "EXDEV") throw error;
    copyFile(from, to);
  }
}
