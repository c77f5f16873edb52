import { findElsewhere, isTaken, assessLiveness } from "../../../local-mcp/recovery/remote-candidates.ts";
import type { RemoteContext } from "../../../local-mcp/recovery/remote-context.ts";
import { toSession } from "../../../local-mcp/recovery/remote-session.ts";
import * as remoteSessions from "../../../local-mcp/sync/remote-sessions.ts";
import type { RemoteSession } from "../../../local-mcp/sync/remote-sessions.ts";
import type { Cli } from "../../cli.ts";
import { oneLine, table } from "../../screen-text.ts";
import type { SessionView } from "./session-view.ts";
import { withOtherMachines, type OtherMachines } from "../recover/other-machines.ts";

/** `unheard`: silent for a while, though maybe alive; `unknown`: the coordinator did not answer. */
export type StateElsewhere =
  | "alive"
  | "incomplete"
  | "unheard"
  | "finished"
  | "taken"
  | "recovered"
  | "dismissed"
  | "unknown";

/** Printed as JSON: fields are only added. */
export interface ElsewhereView extends Pick<
  SessionView,
  "id" | "shortId" | "client" | "project" | "title" | "startedAt" | "lastSeenAt" | "savedAt" | "checkpoints"
> {
  readonly state: StateElsewhere;
  readonly machine: string;
  readonly takenBy: { readonly chat: string; readonly machine: string } | null;
}

interface ListOptions {
  readonly isIncomplete: boolean;
  /** Root whose project filters the sessions; absent: all. */
  readonly root?: string;
  readonly limit: number;
}

/** [RE102] @returns null: this machine belongs to no workspace on an edge, or has no key of it */
export function listElsewhere(cli: Cli, { isIncomplete, root, limit }: ListOptions): Promise<ElsewhereView[] | null> {
  return withOtherMachines(cli, async (others) => {
    if (others === null) return null;
    const { context, short } = others;
    const project = root === undefined ? undefined : await others.projectOf(root);
    if (isIncomplete) {
      const found = await findElsewhere(context, project, limit);
      return found.map(({ row, liveness }) => toView(row, short, liveness.isCertain ? "incomplete" : "unheard"));
    }
    const { runtime, mirror } = context;
    const rows = runtime.store.read(
      (sql) => remoteSessions.list(sql, mirror.workspace, project === undefined ? {} : { project }),
      [],
    );
    const shown = rows.filter(({ device }) => device !== mirror.device).slice(0, limit);
    return Promise.all(shown.map(async (row) => toView(row, short, await elsewhereState(context, row))));
  });
}

async function elsewhereState(context: RemoteContext, row: RemoteSession): Promise<StateElsewhere> {
  const { recovery } = row.content;
  if (row.isEnded) return "finished";
  if (recovery === "recovered" || recovery === "dismissed") return recovery;
  const liveness = await assessLiveness(context, row);
  if (!liveness.isOver) return liveness.isCertain ? "alive" : "unknown";
  if (await isTaken(context, row)) return "taken";
  return liveness.isCertain ? "incomplete" : "unheard";
}

function toView(remote: RemoteSession, short: OtherMachines["short"], state: StateElsewhere): ElsewhereView {
  const { machine, checkpoints, taken } = remote;
  const { id, client, project, title, startedAt, lastSeenAt, savedAt } = toSession(remote);
  const takenBy = taken && { chat: taken.chat, machine: taken.machine };
  const row = { client, project, title, startedAt, lastSeenAt, savedAt, checkpoints };
  return { id, shortId: short(id), state, machine, ...row, takenBy };
}

export function elsewhereTable(cli: Cli, views: readonly ElsewhereView[]): string {
  const rows = views.map((one) => [
    one.shortId,
    one.state,
    cli.ago(one.lastSeenAt),
    one.savedAt === null ? "never" : cli.ago(one.savedAt),
    String(one.checkpoints),
    one.machine,
    oneLine(one.project ?? "-", 40),
    oneLine(one.title ?? "-", 50),
  ]);
  const head = ["ID", "STATE", "SEEN", "SAVED", "CHECKPOINTS", "MACHINE", "PROJECT THERE", "TITLE"];
  return table([head, ...rows], cli.io.size().columns);
}
