import type { Runtime } from "../runtime.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import * as news from "../team/news.ts";
import { brief } from "./brief.ts";
import { findElsewhere, offerable, type Reach } from "./remote-find.ts";
import { look } from "./remote-look.ts";
import { isFree, noteOf } from "./remote-notes.ts";
import { holderOf, takeOver } from "./remote-take.ts";
import type { Restoration } from "./restoration.ts";

/** The project of a chat: its folder here, and what the workspace calls it. */
export interface Place {
  readonly root: string;
  readonly project: string;
}

/**
 * [RE24] Offers a chat the newest session of another machine that died unfinished in its project, by the news that its next hook brings: once, and
 * only where none of this machine was offered to it.
 *
 * @returns the session on offer; null: there is none for it
 */
export async function offerElsewhere(reach: Reach, { root, project }: Place): Promise<string | null> {
  const { runtime, asking } = reach;
  if (!isToBeOffered(runtime, asking)) return null;
  const [first] = offerable(reach, await findElsewhere(reach, project, 5));
  if (!first) return null;
  const { row } = first;
  // Its own chat holds it for a while after its death; what is offered can be taken.
  if ((await holderOf(reach.link, row.session)) !== null) return null;
  const isGoingOn = runtime.config.recovery === "resume";
  // Its brief tells the chat to go on with it: first it has to be its own.
  if (isGoingOn && !(await takeOver(reach, row)).ok) return null;
  return tell(reach, row, await look(reach, first, root)) ? row.session : null;
}

/** What a task goes on with is its worker's to say; and nobody reads what a script is told. */
function isToBeOffered({ env, config, store }: Runtime, asking: string): boolean {
  if (env["SHIM_TASK"]) return false;
  if (env["CLAUDE_CODE_ENTRYPOINT"] === "sdk-cli" && config.recovery !== "resume") return false;
  return store.read((sql) => sessions.offeredTo(sql, asking).length === 0, true);
}

function tell({ runtime, asking }: Reach, row: RemoteSession, from: Restoration): boolean {
  const at = runtime.now();
  const { session, machine } = row;
  const text = brief(from, at, runtime.config.recovery);
  return runtime.store.write((sql) => {
    // Another chat here may have been offered it, or this one have taken it, meanwhile.
    if (!isFree(sql, runtime.processes, at, session, asking)) return false;
    const isNew = news.add(sql, at, asking, `offer:${session}`, { kind: "offer", session, machine, brief: text });
    if (isNew && noteOf(sql, session)?.action !== "taken")
      recoveries.note(sql, { at, sessionId: session, action: "offered", by: asking, score: from.score.total });
    return isNew;
  });
}
