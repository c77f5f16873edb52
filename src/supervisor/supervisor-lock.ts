import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { codeOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { mayBeAlive, type Processes, type ProcessIdentity } from "../platform/processes.ts";
import { withLock } from "../snapshots/repository-lock.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";

const Identity = z.strictObject({ boot: z.string(), pid: z.number(), start: z.string() });
/** Held only briefly, by processes that begin to supervise. */
const lockTimeoutMs = 5_000;

export function supervisorFolder(home: string): string {
  return join(home, "supervisor");
}

function ownerFile(home: string): string {
  return join(supervisorFolder(home), "owner.json");
}

/** [SU8] Current supervisor, or null; a reused pid is none. */
export function findSupervisor(home: string, processes: Processes): ProcessIdentity | null {
  const owner = findLastSupervisor(home);
  return owner && mayBeAlive(processes, owner) ? owner : null;
}

/** Last supervisor that did not end cleanly; it may be alive. */
export function findLastSupervisor(home: string): ProcessIdentity | null {
  const text = readText(ownerFile(home));
  return text === null ? null : parseOwner(text);
}

/** [SU8] Makes this process the home's only supervisor, or returns the current one. */
export async function becomeSupervisor(
  home: string,
  self: ProcessIdentity,
  processes: Processes,
): Promise<Result<void, ProcessIdentity>> {
  createPrivateFolder(supervisorFolder(home));
  const path = ownerFile(home);
  return withLock(`${path}.lock`, processes, AbortSignal.timeout(lockTimeoutMs), async () => {
    const owner = findSupervisor(home, processes);
    if (owner) return err(owner);
    writeAtomically(path, JSON.stringify(self));
    return ok(undefined);
  });
}

export function resign(home: string, self: ProcessIdentity): void {
  const path = ownerFile(home);
  if (readText(path) === JSON.stringify(self)) rmSync(path, { force: true });
}

/** @returns null: no supervisor wrote it, so it blocks none */
function parseOwner(text: string): ProcessIdentity | null {
  try {
    return Identity.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}
