import { readEdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { isRefusal } from "../../../contract/errors.ts";
import type { Call } from "../../../coordinator-client/coordinator-client.ts";
import type { RemoteContext } from "../../../local-mcp/recovery/remote-candidates.ts";
import { projectRoot } from "../../../local-mcp/sessions/git-head.ts";
import * as devices from "../../../local-mcp/sync/device.ts";
import { findProject } from "../../../local-mcp/sync/find-project.ts";
import { readKeys, type KeyRing } from "../../../local-mcp/sync/key-ring.ts";
import { pull } from "../../../local-mcp/sync/pull.ts";
import * as remoteSessions from "../../../local-mcp/sync/remote-sessions.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { err } from "../../../shared/result.ts";
import { shortIds } from "../../../shared/short-id.ts";
import type { Cli } from "../../cli.ts";
import { openCoordinatorLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { shortSession } from "../../resolve-id.ts";

export interface OtherMachines {
  readonly context: RemoteContext;
  /** True: the coordinator did not answer, so this is what was pulled before. */
  readonly isStale: boolean;
  readonly projectOf: (root: string) => Promise<string>;
  /** [CL78] Shortest unique prefix among the sessions of this machine and of the others. */
  readonly short: (session: string) => string;
}

/** [RE27] @param body gets null without a workspace on an edge, or without a key of it */
export async function withOtherMachines<T>(cli: Cli, body: (others: OtherMachines | null) => Promise<T>): Promise<T> {
  const workspaceKeys = readWorkspace(cli);
  const opened = workspaceKeys && (await openCoordinatorLink(cli));
  if (!workspaceKeys || !opened?.ok) return body(null);
  const runtime = await cli.runtime();
  try {
    const context = await openContext(cli, opened.value, workspaceKeys);
    const pulled = await pull(context.mirror, 0);
    if (!pulled.ok) cli.progress(`Other machines as last heard of: ${pulled.error.message}.`);
    const { workspace, machine, keys } = workspaceKeys;
    const projectOf = (root: string): Promise<string> =>
      findProject(runtime, { workspace, machine, key: keys.current }, root);
    return await body({ context, isStale: !pulled.ok, projectOf, short: shortener(runtime, workspace) });
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

const callTimeoutMs = 15_000;

interface WorkspaceKeys {
  readonly workspace: string;
  readonly machine: string;
  readonly keys: KeyRing;
}

function readWorkspace({ paths, io }: Cli): WorkspaceKeys | null {
  const edge = readEdgeConfig(paths.home, io.env);
  if (!edge.ok || !edge.value) return null;
  const keys = readKeys(paths.home, edge.value, io.env);
  const { workspace, machine } = edge.value;
  return keys.ok && keys.value ? { workspace, machine, keys: keys.value } : null;
}

async function openContext(
  cli: Cli,
  link: CoordinatorLink,
  { workspace, machine, keys }: WorkspaceKeys,
): Promise<RemoteContext> {
  const runtime = await cli.runtime();
  // A command is no chat: it holds nothing and fills in no chat identity.
  const call: Call = async (name, input, deadlineMs = callTimeoutMs) => {
    const answer = await link.client.call(name, input, deadlineMs);
    if (answer.ok || isRefusal(answer.error)) return answer;
    return err({ ...answer.error, message: link.toFailure(answer.error).error.message });
  };
  const device = runtime.store.read(devices.get, null)?.device ?? null;
  const mirror = { runtime, call, workspace, keys, device };
  return { runtime, link: { self: null, call }, mirror, chatId: "", machine };
}

export async function currentProject(
  cli: Cli,
  others: OtherMachines,
): Promise<{ readonly root: string; readonly project: string } | null> {
  const root = projectRoot(cli.io.cwd);
  return root === null ? null : { root, project: await others.projectOf(root) };
}
