import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lockOwner } from "./process-lock.ts";
import { mayBeAlive, type Processes, type ProcessIdentity } from "./processes.ts";

export function supervisorFolder(home: string): string {
  return join(home, "supervisor");
}

/** Names the supervisor of a home, which holds its lock, for those who show or end it. */
function markFile(home: string): string {
  return join(supervisorFolder(home), "owner.json");
}

/** Current supervisor, or null; a reused pid is none. */
export function findSupervisor(home: string, processes: Processes): ProcessIdentity | null {
  const owner = findLastSupervisor(home);
  return owner && mayBeAlive(processes, owner) ? owner : null;
}

/** Last supervisor that did not end cleanly; it may be alive. */
export function findLastSupervisor(home: string): ProcessIdentity | null {
  return lockOwner(markFile(home));
}

export function markSupervisor(home: string, self: ProcessIdentity): void {
  writeFileSync(markFile(home), JSON.stringify(self), { mode: 0o600 });
}

export function unmarkSupervisor(home: string): void {
  rmSync(markFile(home), { force: true });
}
