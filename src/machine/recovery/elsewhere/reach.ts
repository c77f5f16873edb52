import type { Chat } from "../../../contract/chats.ts";
import type { Call, CoordinatorClient } from "../../../coordinator-client/coordinator-client.ts";
import type { OpenedLink } from "../../../coordinator-client/client.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { Result } from "../../../shared/result.ts";
import * as devices from "../../sharing/device.ts";
import { readKeys } from "../../sharing/key-ring.ts";
import type { PullDeps } from "../../sharing/pull.ts";

/** Means of a chat or a command here to recover sessions of the workspace's other machines. */
export interface Reach extends PullDeps {
  readonly runtime: Runtime;
  readonly link: Pick<CoordinatorClient, "self" | "call">;
  /** Empty for a command. */
  readonly chatId: string;
  readonly machine: string;
  /** The project that the chat or the command is in; null: none. */
  readonly here: ProjectHere | null;
  /** The coordinator did not answer, so the sessions are those that were pulled before. */
  readonly isStale?: boolean;
  /** All of the workspace, so that none is asked for again; absent: not read yet. */
  readonly chats?: readonly Chat[] | undefined;
}

export interface ProjectHere {
  readonly root: string;
  /** Name of the project in the workspace. */
  readonly project: string;
}

/** A checkpoint of a megabyte may take long. */
const callTimeoutMs = 30_000;

/** Returns null if this machine's own file decides, or it has no key of the workspace. */
export function reachFrom(
  runtime: Runtime,
  { link, edge, workspace, machine }: Pick<OpenedLink, "edge" | "workspace" | "machine"> & Pick<Reach, "link">,
  chatId: string,
): Reach | null {
  if (edge === null) return null;
  const keys = readKeys(runtime.paths.home, edge, runtime.env);
  if (!keys.ok || keys.value === null) return null;
  const call: Call = (name, input) => link.call(name, input, callTimeoutMs);
  const device = runtime.store.read(devices.get, null)?.device ?? null;
  return { runtime, link, call, workspace, keys: keys.value, device, chatId, machine, here: null };
}

export interface ProjectNaming {
  /** Returns the project's name in the workspace. */
  project(root: string): Promise<Result<string, unknown>>;
}

export async function projectHere(naming: ProjectNaming, root: string | null): Promise<ProjectHere | null> {
  const project = root === null ? null : await naming.project(root);
  return root !== null && project?.ok ? { root, project: project.value } : null;
}
