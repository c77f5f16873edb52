import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../runtime.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { Taken } from "../sync/remote-sessions.ts";
import * as news from "../team/news.ts";

/** [RE25] Sessions of this machine that chats of others go on with, as the mirrors tell by now. Written only where that is news. */
export function noteTaken({ store, now }: Pick<Runtime, "store" | "now">, workspace: string, device: string): void {
  const rows = store.read((sql) => remoteSessions.list(sql, workspace, { device }), []);
  for (const { session, taken } of rows) {
    if (taken === null || store.read((sql) => news.has(sql, session, keyOf(session, taken)), false)) continue;
    store.write((sql) => continuedElsewhere(sql, now(), session, taken));
  }
}

function keyOf(session: string, { chat }: Pick<Taken, "chat">): string {
  return `continued:${session}:${chat}`;
}

/**
 * [RE25] A session of this machine is gone on with elsewhere: it is not offered here any more, and it is told when it returns; so is a chat that had
 * been offered it. Once: if it lives on in spite of that, and dies, it is to be recovered itself.
 */
export function continuedElsewhere(
  sql: Sql,
  now: number,
  session: string,
  taken: Pick<Taken, "chat" | "machine">,
): void {
  const { chat, machine } = taken;
  const own = sessions.get(sql, session);
  if (!own || chat === session) return;
  const told: news.News = { kind: "continued_elsewhere", session, by: chat, machine };
  const key = keyOf(session, taken);
  if (!news.add(sql, now, session, key, told) || own.endedAt !== null) return;
  if (own.recovery === "offered" && own.recoveryBy !== null) news.add(sql, now, own.recoveryBy, key, told);
  sessions.setRecovery(sql, now, session, "recovered", chat);
  recoveries.note(sql, { at: now, sessionId: session, action: "recovered", by: chat });
}
