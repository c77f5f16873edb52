import { linkSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { identify, isAlive, type ProcessIdentity, type Processes } from "../platform/processes.ts";
import { GitError } from "./git.ts";
import { codeOf } from "../shared/error.ts";

const pollIntervalMs = 25;
/** Breaking a lock takes a lock; more levels mean that process after process dies at it. */
const maxDepth = 4;

let draftCount = 0;

/**
 * [GS15] Runs `body` exclusively, across processes and calls; breaks the lock of a dead process.
 * The folder of `path` must exist.
 * @throws {GitError} `stopped` when the signal comes first
 */
export async function withLock<T>(
  path: string,
  processes: Processes,
  signal: AbortSignal,
  body: () => Promise<T>,
): Promise<T> {
  const ownIdentity = JSON.stringify(
    identify(processes, process.pid) ?? { boot: processes.boot(), pid: process.pid, start: "" },
  );
  while (!tryLock(path, ownIdentity, processes, 0)) {
    if (signal.aborted) throw new GitError("stopped", `another shim process holds ${path}`);
    await wait(pollIntervalMs, undefined, { signal }).catch(() => {});
  }
  try {
    return await body();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path: string, ownIdentity: string, processes: Processes, depth: number): boolean {
  if (createLock(path, ownIdentity)) return true;
  const owner = readOwner(path);
  if (owner === null || depth > maxDepth || isHeld(owner, processes)) return false;
  const breaking = `${path}.break`;
  if (!tryLock(breaking, ownIdentity, processes, depth + 1)) return false;
  // Only the holder of `breaking` removes a dead owner's lock; by now a living one may have it.
  if (readOwner(path) === owner) unlinkSync(path);
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

function readOwner(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function isHeld(owner: string, processes: Processes): boolean {
  const identity = parseOwner(owner);
  return identity !== null && isAlive(processes, identity);
}

function parseOwner(owner: string): ProcessIdentity | null {
  try {
    const { boot, pid, start } = JSON.parse(owner) as Record<string, unknown>;
    if (typeof boot !== "string" || typeof pid !== "number" || typeof start !== "string") return null;
    return { boot, pid, start };
  } catch {
    return null;
  }
}
