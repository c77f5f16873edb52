import { createHash } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { identify, systemProcesses, type Processes } from "../platform/processes.ts";
import { createPrivateFolder, inodeOf, removeDurably, syncFolder, writeAtomically } from "../platform/private-files.ts";
import { StoreError, toStoreError } from "./store-error.ts";
import { codeOf, messageOf } from "../shared/error.ts";
import { parseObject } from "../shared/json-fields.ts";

export interface SpoolEntry {
  readonly at: number;
  readonly [name: string]: unknown;
}

export interface SpoolOptions {
  readonly maxBytes?: number;
  readonly processes?: Processes;
  /** Wall clock in ms, as the file system stamps its files. */
  readonly now?: () => number;
}

const defaultMaxBytes = 64 * 1024 * 1024;
const maxFileBytes = 2 * defaultMaxBytes;
const waitingName = /\.jsonl(\.\d+)*(\.taken-\d+-[0-9a-f]{8})?$/;
const unreadableSuffix = ".unreadable";
/** A drain takes about a second; a claim older than this is of a process that was stopped in it. */
const maxClaimMs = 10_000;
const takenName = /\.taken-(\d+)-[0-9a-f]{8}$/;

/**
 * [ST30] Keeps an entry until the store can be opened again. Each process has its own file.
 * @throws {StoreError} when the entry could not be written, or the spool is full
 */
export function append(folder: string, entry: SpoolEntry, options: SpoolOptions = {}): void {
  // Leading line break: ends a line torn by a full disk, so that only that one is lost.
  const line = Buffer.from(`\n${JSON.stringify(entry)}\n`);
  try {
    createPrivateFolder(folder);
    assertRoom(folder, line.length, options.maxBytes ?? defaultMaxBytes);
    // timeOrigin distinguishes earlier processes with the same pid.
    const path = join(folder, `${process.pid}-${Math.floor(performance.timeOrigin)}.jsonl`);
    while (!appendOnce(path, line));
  } catch (error) {
    throw toStoreError(error, join(folder, "spool"));
  }
}

/** Returns false when a drainer claimed the file before the sync: the line may be lost. */
function appendOnce(path: string, line: Uint8Array): boolean {
  const file = openSync(path, "a", 0o600);
  try {
    if (writeSync(file, line) < line.length) {
      throw new StoreError("store_full", `${path}: the disk is full; free some space. The last event was not kept`);
    }
    fsyncSync(file);
    // Every time: an earlier append may have failed before the file's name was synced.
    syncFolder(dirname(path));
    return inodeOf(path) === fstatSync(file, { bigint: true }).ino;
  } finally {
    closeSync(file);
  }
}

function assertRoom(folder: string, more: number, maxBytes: number): void {
  const sizes = survey(folder).waiting.map((name) => lstatSync(join(folder, name), { throwIfNoEntry: false })?.size);
  const bytes = sizes.reduce<number>((sum, size) => sum + (size ?? 0), more);
  if (bytes <= maxBytes) return;
  throw new StoreError(
    "store_full",
    `${folder} holds ${bytes - more} bytes of events that no process could store; run \`shim doctor\`. The last event was not kept`,
  );
}

export interface DrainOptions extends SpoolOptions {
  readonly maxFiles?: number;
  /** Checked between entries; at least one is applied. */
  readonly isTimeUp?: () => boolean;
}

export interface SpoolSurvey {
  readonly waiting: readonly string[];
  /** Unreadable files with the reason; the name is "" for the folder itself. */
  readonly unreadable: readonly { readonly name: string; readonly reason: string }[];
}

/** [ST33] Never throws: an unreadable file does not block the others. */
export function survey(folder: string): SpoolSurvey {
  try {
    const names = readdirSync(folder).filter((name) => waitingName.test(name) || name.endsWith(unreadableSuffix));
    if (names.length === 0) return { waiting: [], unreadable: [] };
    accessSync(folder, constants.W_OK | constants.X_OK);
    const files = names.map((name) => ({ name, reason: unreadableReason(join(folder, name)) }));
    return {
      waiting: files.filter(({ reason }) => reason === null).map(({ name }) => name),
      unreadable: files.flatMap(({ name, reason }) =>
        reason === null || reason === missingCode ? [] : [{ name, reason }],
      ),
    };
  } catch (error) {
    // A dangling link is not a spool that has not been created yet.
    const isMissing = codeOf(error) === missingCode && !lstatSync(folder, { throwIfNoEntry: false });
    return { waiting: [], unreadable: isMissing ? [] : [{ name: "", reason: codeOf(error) ?? messageOf(error) }] };
  }
}

const missingCode = "ENOENT";
const notRegular = "not a regular file";

function unreadableReason(path: string): string | null {
  if (path.endsWith(unreadableSuffix)) return "reading it failed";
  try {
    // SHIM creates no link, folder or pipe here.
    const found = lstatSync(path);
    if (!found.isFile()) return notRegular;
    if (found.size > maxFileBytes) return `too large (${found.size} bytes)`;
    accessSync(path, constants.R_OK);
    return null;
  } catch (error) {
    return codeOf(error) ?? messageOf(error);
  }
}

/**
 * [ST31] Claims all processes' files and applies entries in order of time. A file is deleted after
 * its last entry; the rest is free again when the time is up or `apply` throws, so an entry may
 * come twice but is never lost. [ST33] Skips unreadable files. Returns the number applied: 0 while
 * another process drains, because an entry would overtake an earlier one in that process's files.
 */
export function drain(folder: string, apply: (entry: SpoolEntry) => void, options: DrainOptions = {}): number {
  const claimed = claimAlone(folder, options);
  const files = claimed.flatMap((path) => {
    const entries = readOrSetAside(path);
    return entries === null ? [] : [{ path, entries, applied: 0 }];
  });
  try {
    return applyAll(files, apply, options.isTimeUp ?? (() => false));
  } finally {
    for (const file of files) {
      if (file.applied < file.entries.length || !tryRemove(file.path)) releaseFile(file.path);
    }
  }
}

function claimAlone(folder: string, options: DrainOptions): string[] {
  const { processes = systemProcesses, maxFiles = Infinity, now = Date.now } = options;
  const claimed = claimFiles(folder, processes, maxFiles);
  // Checked after claiming: of two processes that claim at once, neither misses the other's claim.
  if (!isDrainedElsewhere(folder, processes, now)) return claimed;
  for (const path of claimed) releaseFile(path);
  return [];
}

function isDrainedElsewhere(folder: string, processes: Processes, now: () => number): boolean {
  const isFree = isClaimableBy(processes);
  return survey(folder).waiting.some((name) => {
    const stat = isFree(name) ? undefined : lstatSync(join(folder, name), { throwIfNoEntry: false });
    // A rename sets ctime, so it is the time of the claim.
    return stat !== undefined && now() - stat.ctimeMs < maxClaimMs;
  });
}

function readOrSetAside(path: string): SpoolEntry[] | null {
  try {
    return entriesOf(path);
  } catch {
    moveToUnused(path, path.replace(takenName, ""), unreadableSuffix);
    return null;
  }
}

function tryRemove(path: string): boolean {
  return hasSucceeded(() => rmSync(path, { force: true }));
}

interface ClaimedFile {
  readonly path: string;
  readonly entries: readonly SpoolEntry[];
  applied: number;
}

function applyAll(files: readonly ClaimedFile[], apply: (entry: SpoolEntry) => void, isTimeUp: () => boolean): number {
  const queue = files.flatMap((file) => file.entries.map((entry) => ({ file, entry })));
  let applied = 0;
  for (const { file, entry } of queue.sort((a, b) => a.entry.at - b.entry.at)) {
    if (applied > 0 && isTimeUp()) break;
    apply(entry);
    file.applied += 1;
    applied += 1;
  }
  return applied;
}

/** The writer may have started a new file of the original name. */
function releaseFile(path: string): void {
  moveToUnused(path, path.replace(takenName, ""), "");
}

/** Where a writer makes such a file in the same moment link(2) fails; rename(2) replaces it. */
function moveToUnused(from: string, to: string, suffix: string): void {
  const target = unusedName(to, suffix);
  try {
    linkSync(from, target);
  } catch (error) {
    if (codeOf(error) === "EEXIST") moveToUnused(from, to, suffix);
    // A file system without links.
    else if (codeOf(error) !== missingCode) tryRename(from, target);
    return;
  }
  tryRemove(from);
}

export function isEmpty(folder: string): boolean {
  return survey(folder).waiting.length === 0;
}

/**
 * [ST32] Removes matching entries from all files, those being drained included.
 * @throws {StoreError} when a file cannot be read and may hold such entries; all others are done
 */
export function remove(folder: string, matches: (entry: SpoolEntry) => boolean, options: SpoolOptions = {}): void {
  for (const path of claimFiles(folder, options.processes ?? systemProcesses, Infinity, () => true)) {
    const kept = readOrSetAside(path)?.filter((entry) => !matches(entry));
    if (kept?.length === 0) removeDurably(path);
    else if (kept) writeAtomically(path, kept.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
  }
  const unreadableFiles = survey(folder)
    .unreadable.filter(({ reason }) => reason !== notRegular && reason !== "ENOTDIR" && reason !== missingCode)
    .map(({ name, reason }) => `${join(folder, name)} (${reason})`);
  if (unreadableFiles.length === 0) return;
  throw new StoreError(
    "store_unavailable",
    `the stored events in ${unreadableFiles.join(", ")} cannot be read; remove them, then try again`,
  );
}

function claimFiles(
  folder: string,
  processes: Processes,
  maxFiles: number,
  isFree: (name: string) => boolean = isClaimableBy(processes),
): string[] {
  const ownSuffix = claimSuffix(processes, process.pid);
  const claimed: string[] = [];
  const names = survey(folder).waiting.filter((file) => isFree(file));
  for (const name of names.sort((a, b) => writerStartIn(a) - writerStartIn(b)).slice(0, maxFiles)) {
    const from = join(folder, name);
    const to = name.endsWith(ownSuffix) ? from : unusedName(join(folder, name.replace(takenName, "")), ownSuffix);
    if (tryRename(from, to)) claimed.push(to);
  }
  return claimed;
}

function writerStartIn(name: string): number {
  return Number(/^\d+-(\d+)\./.exec(name)?.[1] ?? 0);
}

function unusedName(path: string, suffix: string): string {
  let name = path + suffix;
  for (let n = 1; existsSync(name); n++) name = `${path}.${n}${suffix}`;
  return name;
}

function tryRename(from: string, to: string): boolean {
  return hasSucceeded(() => renameSync(from, to));
}

function hasSucceeded(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

function isClaimableBy(processes: Processes): (name: string) => boolean {
  return (name) => {
    const [suffix, pid] = takenName.exec(name) ?? [];
    return !suffix || Number(pid) === process.pid || claimSuffix(processes, Number(pid)) !== suffix;
  };
}

/** Suffix that differs for a later process of the same pid. */
export function claimSuffix(processes: Processes, pid: number): string {
  const identity = identify(processes, pid);
  const hash = createHash("sha256").update(`${identity?.boot} ${identity?.start}`).digest("hex").slice(0, 8);
  return `.taken-${pid}-${hash}`;
}

/** Skips a torn line: it was never acknowledged. */
function entriesOf(path: string): SpoolEntry[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.map((line) => parse(line)).filter((entry) => entry !== null);
}

function parse(line: string): SpoolEntry | null {
  const value = parseObject(line);
  return typeof value?.["at"] === "number" ? (value as unknown as SpoolEntry) : null;
}
