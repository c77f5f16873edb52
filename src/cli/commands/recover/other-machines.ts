import { readEdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { isRefusal } from "../../../contract/errors.ts";
import type { Call } from "../../../coordinator-client/coordinator-client.ts";
import { type RemoteContext, remoteContext, type ProjectHere } from "../../../local-mcp/recovery/remote-context.ts";
import { projectRoot } from "../../../local-mcp/sessions/git-head.ts";
import { findProject } from "../../../local-mcp/sync/find-project.ts";
import { pull } from "../../../local-mcp/sync/pull.ts";
import { err } from "../../../shared/result.ts";
import { toHostError } from "../../../local-mcp/host/workspace-errors.ts";
import type { Cli } from "../../cli.ts";
import { shortSession } from "../../../local-mcp/host/resolve-id.ts";

export interface OtherMachines {
  readonly context: RemoteContext;
  readonly projectOf: (root: string) => Promise<string>;
  /** [CL78] Shortest unique prefix among the sessions of this machine and of the others. */
  readonly short: (session: string) => string;
}

const callTimeoutMs = 15_000;

/** [RE27] @param body gets null without a workspace on an edge, or without a key of it */
export async function withOtherMachines<T>(cli: Cli, body: (others: OtherMachines | null) => Promise<T>): Promise<T> {
  const edge = readEdgeConfig(cli.paths.home, cli.io.env);
  const opened = edge.ok && edge.value ? await cli.workspace() : null;
  if (!edge.ok || !edge.value || !opened?.ok) return body(null);
  const { url, workspace, machine } = edge.value;
  const runtime = await cli.runtime();
  // A command is no chat: it holds nothing and fills in no chat identity.
  const call: Call = async (name, input, deadlineMs = callTimeoutMs) => {
    const answer = await opened.value.client.call(name, input, deadlineMs);
    if (answer.ok || isRefusal(answer.error)) return answer;
    return err({ ...answer.error, message: toHostError(answer.error, url).message });
  };
  try {
    const link = { link: { self: null, call }, edge: edge.value, workspace, machine };
    const context = remoteContext(runtime, link, "");
    if (!context) return await body(null);
    const pulled = await pull(context.mirror, 0);
    if (!pulled.ok) cli.progress(`Other machines as of the last sync: ${pulled.error.message}.`);
    const sharedProject = { workspace, machine, key: context.mirror.keys.current };
    return await body({
      context: { ...context, isStale: !pulled.ok },
      projectOf: (root) => findProject(runtime, sharedProject, root),
      short: (session) => shortSession(runtime, session),
    });
  } finally {
    opened.value.close();
  }
}

export async function currentProject(cli: Cli, others: OtherMachines): Promise<ProjectHere | null> {
  const root = projectRoot(cli.io.cwd);
  return root === null ? null : { root, project: await others.projectOf(root) };
}
