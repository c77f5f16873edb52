import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { codeOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { mayBeAlive, type Processes, type ProcessIdentity } from "../processes.ts";
import { withLock } from "../snapshots/repository-lock.ts";
import { createPrivateFolder, writeAtomically } from "../store/store-files.ts";

const Identity = z.strictObject({ boot: z.string(), pid: z.number(), start: z.string() });
/** Held for a moment only, by processes that begin to supervise. */
const patienceMs = 5_000;

/** Where a supervisor keeps what it knows. @param home SHIM's folder */
export function supervisorFolder(home: string): string {
  return join(home, "supervisor");
}

function ownerFile(home: string): string {
  return join(supervisorFolder(home), "owner.json");
}

/** Who supervises now; null: nobody. [SU8] A number that another process has got since supervises nothing. */
export function supervisorOf(home: string, processes: Processes): ProcessIdentity | null {
  const owner = lastSupervisorOf(home);
  return owner && mayBeAlive(processes, owner) ? owner : null;
}

/** Who has supervised last and did not end in good order; it may live. */
export function lastSupervisorOf(home: string): ProcessIdentity | null {
  const text = textOf(ownerFile(home));
  return text === null ? null : parsed(text);
}

/** [SU8] Makes this process the only supervisor of the home, or answers who is it already. */
export async function becomeOnly(
  home: string,
  own: ProcessIdentity,
  processes: Processes,
): Promise<Result<void, ProcessIdentity>> {
  createPrivateFolder(supervisorFolder(home));
  const path = ownerFile(home);
  return withLock(`${path}.lock`, processes, AbortSignal.timeout(patienceMs), async () => {
    const owner = supervisorOf(home, processes);
    if (owner) return err(owner);
    writeAtomically(path, JSON.stringify(own));
    return ok(undefined);
  });
}

/** Ends what `becomeOnly` began. */
export function resign(home: string, own: ProcessIdentity): void {
  const path = ownerFile(home);
  if (textOf(path) === JSON.stringify(own)) rmSync(path, { force: true });
}

/** Null: it was not written by a supervisor, so it holds nobody off. */
function parsed(text: string): ProcessIdentity | null {
  try {
    return Identity.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}
