import { readEdgeConfig } from "../../../coordinator-client/edge-config.ts";
import type { ChatLink } from "../../../coordinator-client/chat-link.ts";
import { remoteContext, type ProjectHere, type RemoteContext } from "../../../local-mcp/recovery/remote-context.ts";
import { projectRoot } from "../../../local-mcp/sessions/git-head.ts";
import { findProject } from "../../../local-mcp/sync/find-project.ts";
import { pull } from "../../../local-mcp/sync/pull.ts";
import * as remoteSessions from "../../../local-mcp/sync/remote-sessions.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { shortIds } from "../../../shared/short-id.ts";
import type { Cli } from "../../cli.ts";
import { openCoordinatorLink } from "../../coordinator-link.ts";
import { shortSession } from "../../resolve-id.ts";

export interface OtherMachines {
  readonly context: RemoteContext;
  readonly projectOf: (root: string) => Promise<string>;
  /** [CL78] Shortest unique prefix among the sessions of this machine and of the others. */
  readonly short: (session: string) => string;
}

/** [RE27] @param body gets null without a workspace on an edge, or without a key of it */
export async function withOtherMachines<T>(cli: Cli, body: (others: OtherMachines | null) => Promise<T>): Promise<T> {
  const edge = readEdgeConfig(cli.paths.home, cli.io.env);
  const opened = edge.ok && edge.value ? await openCoordinatorLink(cli) : null;
  if (!edge.ok || !edge.value || !opened?.ok) return body(null);
  const { workspace, machine } = edge.value;
  const runtime = await cli.runtime();
  // A command is no chat: it holds nothing and fills in no chat identity.
  const call: ChatLink["call"] = (name, given) => opened.value.call(name, given as never);
  try {
    const link = { link: { self: null, call }, edge: edge.value, workspace, machine };
    const context = remoteContext(runtime, link, "");
    if (!context) return await body(null);
    const pulled = await pull(context.mirror, 0);
    if (!pulled.ok) cli.progress(`Other machines as last heard of: ${pulled.error.message}.`);
    const sharedProject = { workspace, machine, key: context.mirror.keys.current };
    return await body({
      context: { ...context, isStale: !pulled.ok },
      projectOf: (root) => findProject(runtime, sharedProject, root),
      short: shortener(runtime, workspace),
    });
  } finally {
    opened.value.close();
  }
}

function shortener(runtime: Runtime, workspace: string): (session: string) => string {
  const rows = runtime.store.read((sql) => remoteSessions.list(sql, workspace), []);
  const amongRemote = shortIds(rows.map(({ session }) => session));
  return (session) => {
    const [remote, local] = [amongRemote(session), shortSession(runtime, session)];
    return local.length > remote.length ? local : remote;
  };
}

export async function currentProject(cli: Cli, others: OtherMachines): Promise<ProjectHere | null> {
  const root = projectRoot(cli.io.cwd);
  return root === null ? null : { root, project: await others.projectOf(root) };
}
