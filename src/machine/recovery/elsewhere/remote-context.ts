import * as devices from "../../sharing/device.ts";
import type { OpenedLink } from "../../../coordinator-client/open-link.ts";
import type { Result } from "../../../shared/result.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { readKeys } from "../../sharing/key-ring.ts";
import type { PullDeps } from "../../sharing/pull.ts";
import type { Call, CoordinatorClient } from "../../../coordinator-client/coordinator-client.ts";

export interface RemoteContext extends PullDeps {
  readonly runtime: Runtime;
  readonly link: Pick<CoordinatorClient, "self" | "call">;
  readonly chatId: string;
  readonly machine: string;
  /** The coordinator did not answer, so the sessions are those that were pulled before. */
  readonly isStale?: boolean;
}

export interface ProjectHere {
  readonly root: string;
  /** Name of the project in the workspace. */
  readonly project: string;
}

/** A checkpoint of a megabyte may take long. */
const callTimeoutMs = 30_000;

/** Returns null if this machine's own file decides, or it has no key of the workspace. */
export function remoteContext(
  runtime: Runtime,
  { link, edge, workspace, machine }: Pick<OpenedLink, "edge" | "workspace" | "machine"> & Pick<RemoteContext, "link">,
  chatId: string,
): RemoteContext | null {
  if (edge === null) return null;
  const keys = readKeys(runtime.paths.home, edge, runtime.env);
  if (!keys.ok || keys.value === null) return null;
  const call: Call = (name, input) => link.call(name, input, callTimeoutMs);
  const device = runtime.store.read(devices.get, null)?.device ?? null;
  return { runtime, link, call, workspace, keys: keys.value, device, chatId, machine };
}

export interface ProjectNaming {
  /** Returns the project's name in the workspace. */
  project(root: string): Promise<Result<string, unknown>>;
}

export async function projectHere(naming: ProjectNaming, root: string | null): Promise<ProjectHere | null> {
  const project = root === null ? null : await naming.project(root);
  return root !== null && project?.ok ? { root, project: project.value } : null;
}
