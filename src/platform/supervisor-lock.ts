import { rmSync } from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "../shared/result.ts";
import { lockOwner, tryLock, waitForLock } from "./process-lock.ts";
import { mayBeAlive, type Processes, type ProcessIdentity } from "./processes.ts";
import { createPrivateFolder } from "./private-files.ts";

/** For processes that begin to supervise at the same moment. */
const lockTimeoutMs = 5_000;

export function supervisorFolder(home: string): string {
  return join(home, "supervisor");
}

/** Held as long as its process supervises. */
function lockFile(home: string): string {
  return join(supervisorFolder(home), "owner.json");
}

/** [SU8] Current supervisor, or null; a reused pid is none. */
export function findSupervisor(home: string, processes: Processes): ProcessIdentity | null {
  const owner = findLastSupervisor(home);
  return owner && mayBeAlive(processes, owner) ? owner : null;
}

/** Last supervisor that did not end cleanly; it may be alive. */
export function findLastSupervisor(home: string): ProcessIdentity | null {
  return lockOwner(lockFile(home));
}

/** [SU8] Makes this process the home's only supervisor, or returns the current one. */
export async function becomeSupervisor(
  home: string,
  self: ProcessIdentity,
  processes: Processes,
): Promise<Result<void, ProcessIdentity>> {
  createPrivateFolder(supervisorFolder(home));
  const path = lockFile(home);
  const signal = AbortSignal.timeout(lockTimeoutMs);
  for (;;) {
    // Before the lock is tried, which would break that of a process of another container.
    const owner = findSupervisor(home, processes);
    if (owner) return err(owner);
    if (tryLock(path, self, processes)) return ok(undefined);
    await waitForLock(path, signal);
  }
}

export function resign(home: string, self: ProcessIdentity): void {
  const owner = findLastSupervisor(home);
  if (owner?.pid === self.pid && owner.start === self.start) rmSync(lockFile(home), { force: true });
}
