import { join } from "node:path";
import { overlap } from "../../contract/resource-paths.ts";
import type { Self } from "../../contract/values.ts";
import { openProjectReservations, toLeasePaths } from "../../machine/team/operations/reservation-handlers.ts";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import { toResource } from "../../machine/team/file-reservations.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import type { RunOutcome } from "../../runner/worker/executor.ts";

export type Release = () => Promise<void>;

/** More files than this are reserved as whole folders. */
const maxFiles = 200;
/** The longest lease; it ends with the transform. */
const ttlMs = 3_600_000;

export interface Reservation {
  readonly top: string;
  /** Relative to the top; reserved as a whole where many files change. */
  readonly paths: readonly string[];
  readonly self: Self;
  /** False: what the chat has already is another transform's. */
  readonly isOwnAllowed: boolean;
}

/** Reserves all files that change, or none. */
export async function reserveFiles(
  workspace: Workspace,
  { top, paths, self, isOwnAllowed }: Reservation,
  files: readonly string[],
): Promise<Result<Release>> {
  const ranges = paths.length === 0 ? ["**"] : paths.map((path) => (files.includes(path) ? path : `${path}/**`));
  const named = files.length > maxFiles ? ranges : files;
  const leasePaths = toLeasePaths(
    top,
    named.map((path) => join(top, path)),
  );
  if (!leasePaths.ok) return refused(leasePaths.error);
  const opened = await openProjectReservations(workspace, top, () => Promise.resolve(ok(self)));
  if (!opened.ok) return refused(opened.error);
  const { project, files: reservations, toOperationError } = opened.value;
  const held = await reservations.listOwn(project);
  if (!held.ok) return refused(toOperationError(held.error));
  const isHeld = (path: string): boolean =>
    held.value.some(({ resource }) => overlap(resource, toResource(project, path)));
  const own = leasePaths.value.find(isHeld);
  if (own !== undefined && !isOwnAllowed)
    return refused({ message: `another task of this worker has reserved ${own}.` });
  const missing = leasePaths.value.filter((path) => !isHeld(path));
  const reserved = await reservations.reserve(project, missing, ttlMs);
  if (!reserved.ok) return refused(toOperationError(reserved.error));
  return ok(async () => {
    if (missing.length > 0) await reservations.release(project, missing);
  });
}

function refused({ message }: { readonly message: string }): Result<never> {
  return fail("reserved", message);
}

/** The worker's chat has the leases; another task of it cannot have them, too. */
export async function reserveForTask(
  workspace: Workspace,
  target: Pick<Reservation, "top" | "paths">,
  files: readonly string[],
): Promise<Result<Release>> {
  const { self } = workspace.client;
  if (self === null) return fail("reserved", "the worker's chat is not registered.");
  return reserveFiles(workspace, { ...target, self, isOwnAllowed: false }, files);
}

const waitMs = 60_000;

/** Gives a task back whose files another chat has reserved, at no cost. */
export function waitForFiles(reason: string): RunOutcome {
  return { kind: "waiting", reason, delayMs: waitMs };
}
