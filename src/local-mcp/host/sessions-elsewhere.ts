import type { ShownState } from "../../contract/chat-state.ts";
import type { ElsewhereView } from "../../contract/machine/sessions.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { findElsewhere } from "../recovery/remote-candidates.ts";
import { toSession } from "../recovery/remote-session.ts";
import { readRemoteState, stateOfDead } from "../recovery/remote-state.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import type { HandlerContext } from "./handlers.ts";
import { projectOf } from "./other-machines.ts";
import { shortSession } from "./resolve-id.ts";

interface Filter {
  readonly incomplete: boolean;
  /** Root whose project filters the sessions; null: all. */
  readonly project: string | null;
  readonly limit: number;
}

/** [RE102] @returns null: this machine belongs to no workspace on an edge, or has no key of it */
export async function sessionsElsewhere(
  { others, progress }: HandlerContext,
  runtime: Runtime,
  { incomplete, project: root, limit }: Filter,
): Promise<ElsewhereView[] | null> {
  const context = await others.read(runtime, progress);
  if (context === null) return null;
  const project = root === null ? undefined : await projectOf(context, root);
  if (incomplete) {
    const found = await findElsewhere(context, project, limit);
    return found.map((one) => toView(runtime, one.row, stateOfDead(one, runtime.now(), null)));
  }
  const { workspace, device: own } = context.mirror;
  const filter = project === undefined ? {} : { project };
  const rows = runtime.store.read((sql) => remoteSessions.list(sql, workspace, filter), []);
  const shown = rows.filter(({ device }) => device !== own).slice(0, limit);
  const short = (chat: string): string => shortSession(runtime, chat);
  return Promise.all(shown.map(async (row) => toView(runtime, row, await readRemoteState(context, row, short))));
}

function toView(runtime: Runtime, remote: RemoteSession, shown: ShownState): ElsewhereView {
  const { machine, taken, content } = remote;
  const { id, client, project, title, startedAt, lastSeenAt, savedAt } = toSession(remote);
  const takenBy = taken && { chat: taken.chat, machine: taken.machine };
  const facts = { id, shortId: shortSession(runtime, id), client, project, title, startedAt, lastSeenAt, savedAt };
  return { ...facts, ...shown, machine, checkpoints: content.checkpoints, takenBy };
}
