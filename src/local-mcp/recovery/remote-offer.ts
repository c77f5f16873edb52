import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../runtime.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import * as news from "../team/news.ts";
import { namedIn } from "./named-in-brief.ts";
import { offerOf } from "./offer-news.ts";
import { findElsewhere, offerable, type Reach } from "./remote-find.ts";
import { gatherRestoration } from "./remote-gather.ts";
import { isFree, noteOf } from "./remote-notes.ts";
import { holderOf, takeOver } from "./remote-take.ts";
import type { Restoration } from "./restoration.ts";

/** The project of a chat: its folder here, and its name in the workspace. */
export interface ChatProject {
  readonly root: string;
  readonly project: string;
}

/**
 * [RE24] Offers a chat the newest session of another machine that died unfinished in its project, by news that its next hook delivers: once, and
 * only if none of this machine was offered to it.
 *
 * @returns the session on offer; null: there is none for it
 */
export async function offerElsewhere(reach: Reach, { root, project }: ChatProject): Promise<string | null> {
  const { runtime, asking } = reach;
  if (!isToBeOffered(runtime, asking)) return null;
  const [first] = offerable(reach, await findElsewhere(reach, project, 5));
  if (!first) return null;
  const { row } = first;
  // Its own chat holds the lease for a while after its death; only a session that can be taken is offered.
  if ((await holderOf(reach.link, row.session)) !== null) return null;
  const isGoingOn = runtime.config.recovery === "resume";
  // Under this setting the brief tells the chat to continue it, so the chat takes it first.
  if (isGoingOn && !(await takeOver(reach, row)).ok) return null;
  return tell(reach, row, await gatherRestoration(reach, first, root)) ? row.session : null;
}

/** Not to a task's chat, since its worker decides what it continues, and not to a script, since no user reads it. */
function isToBeOffered({ env, config, store }: Runtime, asking: string): boolean {
  if (env["SHIM_TASK"]) return false;
  if (env["CLAUDE_CODE_ENTRYPOINT"] === "sdk-cli" && config.recovery !== "resume") return false;
  return store.read((sql) => sessions.offeredTo(sql, asking).length === 0, true);
}

function tell({ runtime, asking }: Reach, row: RemoteSession, from: Restoration): boolean {
  const at = runtime.now();
  const { session, machine } = row;
  return runtime.store.write((sql) => {
    // Another chat here may have been offered it, or this one have taken it, meanwhile.
    if (!isFree(sql, runtime.processes, at, session, asking)) return false;
    const offer = offerOf(from, session, machine, runtime.config.recovery);
    const isNew = news.add(sql, at, asking, `offer:${session}`, offer);
    if (isNew && noteOf(sql, session)?.action !== "taken") noteOffered(sql, at, session, asking, from);
    return isNew;
  });
}

/** Stores that a session of another machine was offered to the chat `by`, and what its brief named. */
export function noteOffered(sql: Sql, at: number, sessionId: string, by: string, from: Restoration): void {
  recoveries.note(sql, { at, sessionId, action: "offered", by, score: from.score.total, named: namedIn(from) });
}
