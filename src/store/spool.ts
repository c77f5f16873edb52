import { createHash } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
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

/** One line of a spool file: what could not be stored at once. */
export interface SpoolEntry {
  /** When it happened, in epoch ms. */
  readonly at: number;
  readonly [name: string]: unknown;
}

export interface SpoolOptions {
  /** All waiting files together may not grow beyond this, in bytes. */
  readonly maxBytes?: number;
  readonly processes?: Processes;
}

const defaultMaxBytes = 64 * 1024 * 1024;
/** No process writes more into one file: the limit of the folder and one event. */
const maxFileBytes = 2 * defaultMaxBytes;
const waitingName = /\.jsonl(\.\d+)*(\.taken-\d+-[0-9a-f]{8})?$/;
/** Ending of a file whose reading failed after it was taken over. */
const unreadableSuffix = ".unreadable";
const takenName = /\.taken-(\d+)-[0-9a-f]{8}$/;

/**
 * [ST30] Keeps an entry on the disk while the store cannot be opened or locked; the process that opens it next takes it over. Each process
 * has a file of its own.
 *
 * @throws {StoreError} when the entry could not be written, or the spool is full
 */
export function append(folder: string, entry: SpoolEntry, options: SpoolOptions = {}): void {
  // A line that was torn by a full disk ends here, and only it is lost.
  const line = Buffer.from(`\n${JSON.stringify(entry)}\n`);
  try {
    createPrivateFolder(folder);
    assertRoom(folder, line.length, options.maxBytes ?? defaultMaxBytes);
    // timeOrigin tells a process from an earlier one with the same pid.
    const path = join(folder, `${process.pid}-${Math.floor(performance.timeOrigin)}.jsonl`);
    while (!appendOnce(path, line));
  } catch (error) {
    throw toStoreError(error, join(folder, "spool"));
  }
}

/** False when a drainer took the file before the line was in it for sure: then the line may be lost, and is written again. */
function appendOnce(path: string, line: Uint8Array): boolean {
  const file = openSync(path, "a", 0o600);
  try {
    if (writeSync(file, line) < line.length) {
      throw new StoreError("store_full", `${path}: the disk is full; free some space. The last event was not kept`);
    }
    fsyncSync(file);
    // Each time: an earlier append may have made the file, and failed before its name was on the disk.
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
  /** Files taken over by one drain, the oldest first. */
  readonly maxFiles?: number;
  /** Asked between two entries: what is left then stays for a later drain. At least one entry is applied. */
  readonly isTimeUp?: () => boolean;
}

/** What lies in a spool. */
export interface SpoolSurvey {
  /** Names of files whose entries can be applied, also those that another process is applying just now. */
  readonly waiting: readonly string[];
  /** What can only be passed over, with the reason; the name is "" for the folder itself. */
  readonly unreadable: readonly { readonly name: string; readonly reason: string }[];
}

/** [ST33] Never throws: what cannot be read or moved is named and holds up nothing else. */
export function survey(folder: string): SpoolSurvey {
  try {
    const names = readdirSync(folder).filter((name) => waitingName.test(name) || name.endsWith(unreadableSuffix));
    if (names.length === 0) return { waiting: [], unreadable: [] };
    // A file is taken over by a rename.
    accessSync(folder, constants.W_OK | constants.X_OK);
    const files = names.map((name) => ({ name, reason: unreadableReason(join(folder, name)) }));
    return {
      waiting: files.filter(({ reason }) => reason === null).map(({ name }) => name),
      unreadable: files.flatMap(({ name, reason }) =>
        reason === null || reason === missingCode ? [] : [{ name, reason }],
      ),
    };
  } catch (error) {
    // A link to a folder that is not there is no spool that has not been made yet.
    const isMissing = codeOf(error) === missingCode && !lstatSync(folder, { throwIfNoEntry: false });
    return { waiting: [], unreadable: isMissing ? [] : [{ name: "", reason: codeOf(error) ?? messageOf(error) }] };
  }
}

const missingCode = "ENOENT";
const notRegular = "not a regular file";

/** Null: its entries can be read, as far as its kind, size and permissions tell. */
function unreadableReason(path: string): string | null {
  if (path.endsWith(unreadableSuffix)) return "reading it failed";
  try {
    // A link, a folder or a pipe was put there by something else than SHIM.
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
 * [ST31] Takes over the files of all processes and applies their entries in the order of time. A file is deleted when its last
 * entry was applied; what is left, because the time is up or `apply` throws, is free for any process again. So an entry may come
 * twice, never not at all. [ST33] What cannot be read is passed over.
 *
 * @returns how many entries were applied
 */
export function drain(folder: string, apply: (entry: SpoolEntry) => void, options: DrainOptions = {}): number {
  const claimed = claimFiles(folder, options.processes ?? systemProcesses, options.maxFiles ?? Infinity);
  const files = claimed.flatMap((path) => {
    const entries = readOrSetAside(path);
    return entries === null ? [] : [{ path, entries, applied: 0 }];
  });
  try {
    return applyAll(files, apply, options.isTimeUp ?? (() => false));
  } finally {
    for (const file of files) {
      if (file.applied < file.entries.length) releaseFile(file.path);
      else if (!tryRemove(file.path)) releaseFile(file.path);
    }
  }
}

/** Null: reading failed, and the file is set aside. */
function readOrSetAside(path: string): SpoolEntry[] | null {
  try {
    return entriesOf(path);
  } catch {
    tryRename(path, unusedName(path.replace(takenName, ""), unreadableSuffix));
    return null;
  }
}

function tryRemove(path: string): boolean {
  try {
    rmSync(path, { force: true });
    return true;
  } catch {
    return false;
  }
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

/** Its writer may have begun a new file of the first name meanwhile. */
function releaseFile(path: string): void {
  tryRename(path, unusedName(path.replace(takenName, ""), ""));
}

/** Whether nothing waits that can be read, also nothing that another process is applying just now. */
export function isEmpty(folder: string): boolean {
  return survey(folder).waiting.length === 0;
}

/**
 * [ST32] Removes the entries that match from every waiting file, also from one that another process is draining just now (that
 * process has already read it).
 *
 * @throws {StoreError} when there is something that cannot be read, which may hold such entries; all other files are done then
 */
export function remove(folder: string, matches: (entry: SpoolEntry) => boolean, options: SpoolOptions = {}): void {
  for (const path of claimFiles(folder, options.processes ?? systemProcesses, Infinity, () => true)) {
    const entries = readOrSetAside(path);
    if (entries !== null)
      rewrite(
        path,
        entries.filter((entry) => !matches(entry)),
      );
  }
  const unreadableFiles = survey(folder)
    .unreadable.filter(({ reason }) => reason !== notRegular && reason !== "ENOTDIR" && reason !== missingCode)
    .map(({ name, reason }) => `${join(folder, name)} (${reason})`);
  if (unreadableFiles.length === 0) return;
  throw new StoreError(
    "store_unavailable",
    `what waits in ${unreadableFiles.join(", ")} cannot be read; remove it, then repeat`,
  );
}

function rewrite(path: string, kept: readonly SpoolEntry[]): void {
  if (kept.length === 0) removeDurably(path);
  else writeAtomically(path, kept.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
}

/** The rename gives each file to one process. */
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

/** When the process began that wrote the file: the second number of its name. */
function writerStartIn(name: string): number {
  return Number(/^\d+-(\d+)\./.exec(name)?.[1] ?? 0);
}

/** What an earlier drain of this process left must not be written over. */
function unusedName(path: string, suffix: string): string {
  let name = path + suffix;
  for (let n = 1; existsSync(name); n++) name = `${path}.${n}${suffix}`;
  return name;
}

/** False when another process was first, or when the system does not allow it. */
function tryRename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

/** True for a file that no other living process drains; that of a drainer that died is free again. */
function isClaimableBy(processes: Processes): (name: string) => boolean {
  return (name) => {
    const [suffix, pid] = takenName.exec(name) ?? [];
    return !suffix || Number(pid) === process.pid || claimSuffix(processes, Number(pid)) !== suffix;
  };
}

/** How the files end that a process drains just now: a later process of the same pid has another ending. */
export function claimSuffix(processes: Processes, pid: number): string {
  const identity = identify(processes, pid);
  const hash = createHash("sha256").update(`${identity?.boot} ${identity?.start}`).digest("hex").slice(0, 8);
  return `.taken-${pid}-${hash}`;
}

/** A line that was torn when its writer died was never acknowledged; it is passed over. */
function entriesOf(path: string): SpoolEntry[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.map((line) => parse(line)).filter((entry) => entry !== null);
}

function parse(line: string): SpoolEntry | null {
  if (line === "") return null;
  try {
    const value: unknown = JSON.parse(line);
    const isEntry = typeof value === "object" && value !== null && "at" in value && typeof value.at === "number";
    return isEntry ? (value as SpoolEntry) : null;
  } catch {
    return null;
  }
}
