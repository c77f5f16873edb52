import { fail, type Failure } from "../shared/failure.ts";
import { join } from "node:path";
import { overlap } from "../contract/resource-paths.ts";
import type { Self } from "../contract/values.ts";
import type { Workspace } from "../local-mcp/host/host.ts";
import type { ClientWorkspace } from "../local-mcp/host/workspace.ts";
import { ok, type Result } from "../shared/result.ts";
import type { Release } from "./request.ts";

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

/** [TX10] Reserves all files that change, or none. */
export async function reserveFiles(
  workspace: Pick<Workspace, "reservedFiles">,
  { top, paths, self, isOwnAllowed }: Reservation,
  files: readonly string[],
): Promise<Result<Release, Failure>> {
  const opened = await workspace.reservedFiles(top);
  if (!opened.ok) return refused(opened.error);
  const project = opened.value;
  const ranges = paths.length === 0 ? ["**"] : paths.map((path) => (files.includes(path) ? path : `${path}/**`));
  const named = files.length > maxFiles ? ranges : files;
  const resources = project.toResources(named.map((path) => join(top, path)));
  if (!resources.ok) return refused(resources.error);
  const held = await project.list(self.chat);
  if (!held.ok) return refused(held.error);
  const isHeld = (resource: string): boolean => held.value.some((lease) => overlap(lease.resource, resource));
  const own = resources.value.find(isHeld);
  if (own !== undefined && !isOwnAllowed)
    return refused({ message: `another task of this worker has reserved ${own.slice(project.prefix.length)}.` });
  const missing = resources.value.filter((resource) => !isHeld(resource));
  const reserved = await project.reserve(self, missing, ttlMs);
  if (!reserved.ok) return refused(reserved.error);
  return ok(async () => {
    for (const lease of reserved.value) await project.release(self, lease);
  });
}

function refused({ message }: { readonly message: string }): Result<never, Failure> {
  return fail("reserved", message);
}

/** The worker's chat has the leases; another task of it cannot have them, too. */
export async function reserveForTask(
  workspace: ClientWorkspace,
  target: Pick<Reservation, "top" | "paths">,
  files: readonly string[],
): Promise<Result<Release, Failure>> {
  const { self } = workspace.client;
  if (self === null) return fail("reserved", "the worker's chat is not registered.");
  return reserveFiles(workspace, { ...target, self, isOwnAllowed: false }, files);
}
