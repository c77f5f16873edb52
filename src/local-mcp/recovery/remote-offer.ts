import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import * as news from "../sessions/news.ts";
import { briefFacts } from "./brief-facts.ts";
import { toOffer } from "./offer-news.ts";
import { findElsewhere, offerable, type RemoteContext } from "./remote-candidates.ts";
import { gatherRestoration } from "./remote-gather.ts";
import { isFree, noteOf } from "./remote-notes.ts";
import { fetchHolder, takeOver } from "./remote-takeover.ts";
import type { Restoration } from "./restoration.ts";

export interface ChatProject {
  readonly root: string;
  readonly project: string;
}

/** [RE24] Offers once, and only if the chat was offered no session of this machine. */
export async function offerElsewhere(context: RemoteContext, { root, project }: ChatProject): Promise<string | null> {
  const { runtime, chatId } = context;
  if (!canBeOffered(runtime, chatId)) return null;
  const [first] = offerable(context, await findElsewhere(context, project, 5));
  if (!first) return null;
  const { row } = first;
  // A dead chat holds its lease for a while; only a session that can be taken is offered.
  if ((await fetchHolder(context.link, row.session)) !== null) return null;
  const isGoingOn = runtime.config.recovery === "resume";
  // Under this setting the brief makes the chat continue the session, so it is taken first.
  if (isGoingOn && !(await takeOver(context, row)).ok) return null;
  return notifyOffer(context, row, await gatherRestoration(context, first, root)) ? row.session : null;
}

/** A worker decides what its task continues, and a script has no user to ask. */
function canBeOffered({ env, config, store }: Runtime, chatId: string): boolean {
  if (env["SHIM_TASK"]) return false;
  if (env["CLAUDE_CODE_ENTRYPOINT"] === "sdk-cli" && config.recovery !== "resume") return false;
  return store.read((sql) => sessions.listOfferedTo(sql, chatId).length === 0, true);
}

function notifyOffer({ runtime, chatId }: RemoteContext, row: RemoteSession, from: Restoration): boolean {
  const at = runtime.now();
  const { session, machine } = row;
  return runtime.store.write((sql) => {
    // Meanwhile another chat here may have been offered the session, or this one have taken it.
    if (!isFree(sql, runtime.processes, at, session, chatId)) return false;
    const offer = toOffer(from, session, machine, runtime.config.recovery);
    const isNew = news.add(sql, at, chatId, `offer:${session}`, offer);
    if (isNew && noteOf(sql, session)?.action !== "taken") recordOffered(sql, at, session, chatId, from);
    return isNew;
  });
}

export function recordOffered(sql: Sql, at: number, sessionId: string, by: string, from: Restoration): void {
  recoveries.add(sql, { at, sessionId, action: "offered", by, score: from.score.total, named: briefFacts(from) });
}
