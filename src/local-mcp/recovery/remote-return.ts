import type { Sql } from "../../shared/sql.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { Taken } from "../sync/remote-sessions.ts";
import * as news from "../team/news.ts";

/**
 * [RE25] Sessions of this machine that chats of others go on with, as the mirror tells. To be called after each pull.
 *
 * @param device of this machine
 */
export function noteTaken(sql: Sql, now: number, workspace: string, device: string): void {
  for (const { session, taken } of remoteSessions.list(sql, workspace, { device }))
    if (taken !== null) continuedElsewhere(sql, now, session, taken);
}

/**
 * [RE25] A session of this machine is gone on with elsewhere: it is not offered here any more, and it is told when it returns; so is a chat that had
 * been offered it. Once: if it lives on in spite of that, and dies, it is to be recovered itself.
 */
export function continuedElsewhere(
  sql: Sql,
  now: number,
  session: string,
  { chat, machine }: Pick<Taken, "chat" | "machine">,
): void {
  const own = sessions.get(sql, session);
  if (!own || chat === session) return;
  const told: news.News = { kind: "continued_elsewhere", session, by: chat, machine };
  const key = `continued:${session}:${chat}`;
  if (!news.add(sql, now, session, key, told) || own.endedAt !== null) return;
  if (own.recovery === "offered" && own.recoveryBy !== null) news.add(sql, now, own.recoveryBy, key, told);
  sessions.setRecovery(sql, now, session, "recovered", chat);
  recoveries.note(sql, { at: now, sessionId: session, action: "recovered", by: chat });
}
