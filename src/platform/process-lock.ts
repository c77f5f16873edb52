import { linkSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { codeOf } from "../shared/error.ts";
import { readText } from "./paths.ts";
import { asProcessIdentity, identify, isAlive, type ProcessIdentity, type Processes } from "./processes.ts";
import { parseJson } from "../shared/json-fields.ts";

const pollIntervalMs = 25;
/** Breaking a lock takes a lock; more levels mean that process after process dies at it. */
const maxDepth = 4;

let draftCount = 0;

/**
 * Runs `body` exclusively, across processes and calls; breaks the lock of a dead process.
 * The folder of `path` must exist.
 * @throws {LockedError} when the signal comes first
 */
export async function withLock<T>(
  path: string,
  processes: Processes,
  signal: AbortSignal,
  body: () => Promise<T>,
): Promise<T> {
  const self = identify(processes, process.pid) ?? { boot: processes.boot(), pid: process.pid, start: "" };
  while (!tryLock(path, self, processes)) {
    if (signal.aborted) throw new LockedError(`another shim process holds ${path}`);
    await wait(pollIntervalMs, undefined, { signal }).catch(() => {});
  }
  try {
    return await body();
  } finally {
    rmSync(path, { force: true });
  }
}

export class LockedError extends Error {}

/** Writes `self` into the lock. Returns false, too, after it broke the lock of a dead process. */
function tryLock(path: string, self: ProcessIdentity, processes: Processes, depth = 0): boolean {
  if (createLock(path, JSON.stringify(self))) return true;
  const text = readText(path);
  const owner = parseOwner(text ?? "");
  if (text === null || depth > maxDepth || (owner && isAlive(processes, owner))) return false;
  const breaking = `${path}.break`;
  if (!tryLock(breaking, self, processes, depth + 1)) return false;
  // Only the holder of `breaking` removes a dead owner's lock; by now a living one may have it.
  if (readText(path) === text) unlinkSync(path);
  rmSync(breaking, { force: true });
  return false;
}

/** A hard link appears with its content: no process reads a lock without its owner. */
function createLock(path: string, ownIdentity: string): boolean {
  const draft = `${path}.${process.pid}-${draftCount++}`;
  writeFileSync(draft, ownIdentity, { mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Returns null for a free lock, and for one that does not name its owner. */
export function lockOwner(path: string): ProcessIdentity | null {
  return parseOwner(readText(path) ?? "");
}

function parseOwner(text: string): ProcessIdentity | null {
  return asProcessIdentity(parseJson(text));
}
