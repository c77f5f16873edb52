import { accessSync, constants, existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createPrivateFolder, removeDurably, writeAtomically } from "../platform/private-files.ts";
import { StoreError, toStoreError } from "./store-error.ts";
import { codeOf, messageOf } from "../shared/error.ts";
import { parseObject } from "../shared/json-fields.ts";

export interface SpoolEntry {
  readonly at: number;
  readonly [name: string]: unknown;
}

const defaultMaxBytes = 64 * 1024 * 1024;
const maxFileBytes = 2 * defaultMaxBytes;
/** Least size of a file on the disk. */
const blockBytes = 4_096;

/** Named by the time of its entry; the last part counts the times that applying it has begun. */
const waitingName = /^\d+-\d+-\d+\.json(\.\d)?$/;
/** An entry that so many processes have died with may be the cause. */
const maxAttempts = 2;
const fatal = ".fatal";
const setAsideReasons: ReadonlyMap<string, string> = new Map([
  [".unreadable", "no whole event could be read from it"],
  [fatal, `the host ended ${maxAttempts} times while it read it`],
]);

/**
 * Keeps an entry, in a file of its own, until the host reads it.
 * @throws {StoreError} when the entry could not be written, or the spool is full
 */
export function append(folder: string, entry: SpoolEntry, maxBytes = defaultMaxBytes): void {
  const text = JSON.stringify(entry);
  try {
    createPrivateFolder(folder);
    const sizes = survey(folder).waiting.map((name) => lstatSync(join(folder, name), { throwIfNoEntry: false })?.size);
    const bytes = sizes.reduce<number>((sum, size) => sum + Math.max(size ?? 0, blockBytes), 0);
    if (bytes + Buffer.byteLength(text) > maxBytes)
      throw new StoreError(
        "store_full",
        `${folder} holds ${bytes} bytes of events that no process could store; run \`shim doctor\`. The last event was not kept`,
      );
    writeAtomically(unusedPath(folder, entry.at), text);
  } catch (error) {
    throw toStoreError(error, join(folder, "spool"));
  }
}

let appended = 0;

/** Names sort by time, and those of one process by order. */
function unusedPath(folder: string, at: number): string {
  const time = String(Math.max(0, Math.trunc(at))).padStart(15, "0");
  const path = join(folder, `${time}-${String((appended += 1)).padStart(6, "0")}-${process.pid}.json`);
  return existsSync(path) ? unusedPath(folder, at) : path;
}

export interface SpoolSurvey {
  readonly waiting: readonly string[];
  /** Unreadable files with the reason; the name is "" for the folder itself. */
  readonly unreadable: readonly { readonly name: string; readonly reason: string }[];
}

/** Never throws: an unreadable file does not block the others. */
export function survey(folder: string): SpoolSurvey {
  try {
    const files = filesIn(folder);
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

interface SpoolFile {
  readonly name: string;
  /** Why it cannot be read; null: it can. */
  readonly reason: string | null;
}

/** @returns the files of entries, the oldest first */
function filesIn(folder: string): SpoolFile[] {
  const names = readdirSync(folder).filter((name) => waitingName.test(name) || setAsideReason(name) !== null);
  if (names.length > 0) accessSync(folder, constants.W_OK | constants.X_OK);
  return names.toSorted().map((name) => ({ name, reason: unreadableReason(join(folder, name)) }));
}

const missingCode = "ENOENT";
const notRegular = "not a regular file";

function setAsideReason(path: string): string | null {
  const suffix = /\.json(?<suffix>\.[a-z]+)$/.exec(path)?.groups?.["suffix"];
  return setAsideReasons.get(suffix ?? "") ?? null;
}

function unreadableReason(path: string): string | null {
  try {
    // SHIM creates no link, folder or pipe here.
    const found = lstatSync(path);
    if (!found.isFile()) return notRegular;
    if (found.size > maxFileBytes) return `too large (${found.size} bytes)`;
    accessSync(path, constants.R_OK);
    return setAsideReason(path);
  } catch (error) {
    return codeOf(error) ?? messageOf(error);
  }
}

/** An entry that is renamed meanwhile is being applied, and is counted. Never throws. */
export function isEmpty(folder: string): boolean {
  try {
    return filesIn(folder).every(({ reason }) => reason !== null && reason !== missingCode);
  } catch {
    // There is no folder, or none of its files can be applied.
    return true;
  }
}

export interface DrainOptions {
  readonly maxFiles?: number;
  /** Checked between entries; at least one is applied. */
  readonly isTimeUp?: () => boolean;
}

/**
 * Applies entries, the oldest first, and deletes each when it was applied: an entry may come
 * twice but is never lost. Skips unreadable files. Returns the number applied.
 */
export function drain(folder: string, apply: (entry: SpoolEntry) => void, options: DrainOptions = {}): number {
  const { maxFiles = Infinity, isTimeUp = () => false } = options;
  let applied = 0;
  for (const name of survey(folder).waiting) {
    if (applied >= maxFiles || (applied > 0 && isTimeUp())) break;
    if (applyFile(join(folder, name), apply)) applied += 1;
  }
  return applied;
}

/** @returns whether there was an entry */
function applyFile(path: string, apply: (entry: SpoolEntry) => void): boolean {
  const original = path.replace(/\.\d$/, "");
  const attempts = Number(path.slice(original.length + 1));
  if (attempts >= maxAttempts) {
    tryRename(path, `${original}${fatal}`);
    return false;
  }
  const begun = `${original}.${attempts + 1}`;
  if (!tryRename(path, begun)) return false;
  const entry = readEntry(begun);
  if (entry === null) {
    tryRename(begun, `${original}.unreadable`);
    return false;
  }
  try {
    apply(entry);
  } catch (error) {
    tryRename(begun, path);
    throw error;
  }
  rmSync(begun, { force: true });
  return true;
}

/** Least time until an entry that was set aside is tried again. */
const minRetryMs = 600_000;

/**
 * A kill from outside is not the fault of the entry that was being read: one that was set aside
 * for the ends of its readers is tried again, each time after twice the time, by one process.
 */
export function retrySetAside(folder: string, now: number): void {
  for (const { name, reason } of survey(folder).unreadable) {
    const path = join(folder, name);
    const { ctimeMs = now, mtimeMs = now } = lstatSync(path, { throwIfNoEntry: false }) ?? {};
    // The entry was written at the one and renamed at the other.
    const isDue = now - ctimeMs >= Math.max(minRetryMs, ctimeMs - mtimeMs);
    if (reason === setAsideReasons.get(fatal) && isDue) tryRename(path, path.replace(fatal, `.${maxAttempts - 1}`));
  }
}

function tryRename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

function readEntry(path: string): SpoolEntry | null {
  try {
    const value = parseObject(readFileSync(path, "utf8"));
    return typeof value?.["at"] === "number" ? (value as unknown as SpoolEntry) : null;
  } catch {
    return null;
  }
}

/**
 * Removes matching entries.
 * @throws {StoreError} when a file cannot be read and may hold such entries; all others are done
 */
export function remove(folder: string, matches: (entry: SpoolEntry) => boolean): void {
  const { waiting, unreadable } = survey(folder);
  const unread = unreadable.filter(({ reason }) => reason !== notRegular && reason !== "ENOTDIR");
  const files = [...waiting.map((name) => ({ name, reason: "reading it failed" })), ...unread];
  const left = files.filter(({ name }) => {
    const entry = name === "" ? null : readEntry(join(folder, name));
    if (entry !== null && matches(entry)) removeDurably(join(folder, name));
    return entry === null;
  });
  if (left.length === 0) return;
  const names = left.map(({ name, reason }) => `${join(folder, name)} (${reason})`).join(", ");
  throw new StoreError(
    "store_unavailable",
    `the stored events in ${names} cannot be read; remove them, then try again`,
  );
}
