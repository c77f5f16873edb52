import { readEdge } from "../local-mcp/authority.ts";
import type { ChatLink } from "../local-mcp/link/chat-link.ts";
import type { Reach } from "../local-mcp/recovery/remote-find.ts";
import { projectRoot } from "../local-mcp/sessions/git-head.ts";
import * as devices from "../local-mcp/sync/device.ts";
import { findProject } from "../local-mcp/sync/find-project.ts";
import { readKeys, type KeyRing } from "../local-mcp/sync/key-ring.ts";
import { pull } from "../local-mcp/sync/pull.ts";
import type { SyncCall } from "../local-mcp/sync/sync-call.ts";
import * as remoteSessions from "../local-mcp/sync/remote-sessions.ts";
import type { Runtime } from "../local-mcp/runtime.ts";
import { shortIds } from "../shared/short-id.ts";
import type { Cli } from "./cli.ts";
import { coordination, type Coordination } from "./coordination.ts";
import { shortSession } from "./named.ts";

/** The other machines of the workspace, as a command sees them. */
export interface OtherMachines {
  readonly reach: Reach;
  /** Nobody answered: what is known here is what was heard before. */
  readonly isStale: boolean;
  /** What the workspace calls the project of a folder. */
  readonly projectOf: (root: string) => Promise<string>;
  /** [CL78] As much of the id as tells the session from all others of this machine and of the others. */
  readonly short: (session: string) => string;
}

/**
 * Asks what has changed, and works with that. [RE27]
 *
 * @param body is given null where this machine belongs to no workspace on an edge, or has no key of it
 */
export async function withOtherMachines<T>(cli: Cli, body: (others: OtherMachines | null) => Promise<T>): Promise<T> {
  const of = workspaceOf(cli);
  const opened = of && (await coordination(cli));
  if (!of || !opened?.ok) return body(null);
  const runtime = await cli.runtime();
  try {
    const reach = await reachOver(cli, opened.value, of);
    const pulled = await pull(reach.mirror, 0);
    if (!pulled.ok) cli.progress(`Other machines as last heard of: ${pulled.error.message}.`);
    const { workspace, machine, keys } = of;
    const projectOf = (root: string): Promise<string> =>
      findProject(runtime, { workspace, machine, key: keys.current }, root);
    return await body({ reach, isStale: !pulled.ok, projectOf, short: shortener(runtime, workspace) });
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

interface OfWorkspace {
  readonly workspace: string;
  readonly machine: string;
  readonly keys: KeyRing;
}

function workspaceOf({ paths, io }: Cli): OfWorkspace | null {
  const edge = readEdge(paths.home, io.env);
  if (!edge.ok || !edge.value) return null;
  const keys = readKeys(paths.home, edge.value, io.env);
  const { workspace, machine } = edge.value;
  return keys.ok && keys.value ? { workspace, machine, keys: keys.value } : null;
}

async function reachOver(cli: Cli, asked: Coordination, { workspace, machine, keys }: OfWorkspace): Promise<Reach> {
  const runtime = await cli.runtime();
  // A command is no chat: it holds nothing, and what fills itself in for a chat it leaves out.
  const call: ChatLink["call"] = (name, given) => asked.call(name, given as never);
  const sync: SyncCall = (name, input) => asked.call(name, input);
  const device = runtime.store.read(devices.get, null)?.device ?? null;
  const mirror = { runtime, call: sync, workspace, keys, device };
  return { runtime, link: { self: null, call }, mirror, asking: "", machine };
}

/** The project of the folder that the command was called in. */
export async function projectHere(
  cli: Cli,
  others: OtherMachines,
): Promise<{ readonly root: string; readonly project: string } | null> {
  const root = projectRoot(cli.io.cwd);
  return root === null ? null : { root, project: await others.projectOf(root) };
}
