import { isRefusal } from "../../contract/errors.ts";
import { WorkspaceClient } from "../../coordinator-client/client.ts";
import type { Call } from "../../coordinator-client/coordinator-client.ts";
import { readEdgeConfig } from "../../coordinator-client/edge-config.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { err } from "../../shared/result.ts";
import { projectRoot } from "../sessions/git-head.ts";
import { findProject } from "../sync/find-project.ts";
import { pull } from "../sync/pull.ts";
import { remoteContext, type ProjectHere, type RemoteContext } from "./remote-context.ts";

export interface OtherMachines {
  readonly context: RemoteContext;
  /** Name of a project in the workspace. */
  readonly projectOf: (root: string) => Promise<string>;
}

const callTimeoutMs = 15_000;

/**
 * [RE27] For a command of the user, which is no chat.
 *
 * @param body gets null without a workspace on an edge, or without a key of it
 */
export async function withOtherMachines<T>(
  runtime: Runtime,
  progress: ((text: string) => void) | undefined,
  body: (others: OtherMachines | null) => Promise<T>,
): Promise<T> {
  const edge = readEdgeConfig(runtime.paths.home, runtime.env);
  if (!edge.ok || !edge.value) return body(null);
  const { url, workspace, machine, token } = edge.value;
  const opened = WorkspaceClient.open({ edge: url, workspace, token, connectsFor: "chat" }, nodePlatform());
  if (!opened.ok) return body(null);
  const call: Call = async (name, input, deadlineMs = callTimeoutMs) => {
    const answer = await opened.value.call(name, input, deadlineMs);
    if (answer.ok || isRefusal(answer.error)) return answer;
    return err({ ...answer.error, message: `${url} did not answer: ${answer.error.message}` });
  };
  try {
    const context = remoteContext(runtime, { link: { self: null, call }, edge: edge.value, workspace, machine }, "");
    if (!context) return await body(null);
    const pulled = await pull(context.mirror, 0);
    if (!pulled.ok) progress?.(`Other machines as of the last sync: ${pulled.error.message}.`);
    const naming = { workspace, machine, key: context.mirror.keys.current };
    return await body({
      context: { ...context, isStale: !pulled.ok },
      projectOf: (root) => findProject(runtime, naming, root),
    });
  } finally {
    opened.value.close();
  }
}

/** @returns null: the folder belongs to no project */
export async function projectOfFolderHere(others: OtherMachines, folder: string): Promise<ProjectHere | null> {
  const root = projectRoot(folder);
  return root === null ? null : { root, project: await others.projectOf(root) };
}
