import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { teamNews } from "../../store/team-tables.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Takeover } from "../../store/sync-tables.ts";
import * as elsewhere from "./sessions-elsewhere.ts";
import type { SessionElsewhere } from "./sessions-elsewhere.ts";
import * as news from "../sessions/news.ts";

/** Writes only changes. */
export function recordTakeovers(
  { store, now }: Pick<Runtime, "store" | "now">,
  workspace: string,
  device: string,
): void {
  const rows = store.read((sql) => elsewhere.list(sql, workspace, { device }), []);
  for (const { id: session, taken } of rows) {
    if (taken === null || store.read((sql) => news.has(sql, session, noticeKey(session, taken)), false)) continue;
    store.write((sql) => recordContinuation(sql, now(), session, taken));
  }
  const returned = store.read((sql) => returnedSessions(sql, rows), []);
  if (returned.length > 0) store.write((sql) => reopen(sql, now(), returned));
}

interface TakeoverNotice {
  readonly seq: number;
  readonly session: string;
}

function returnedSessions(sql: Sql, taken: readonly Pick<SessionElsewhere, "id">[]): TakeoverNotice[] {
  const notices = sql.all<TakeoverNotice>(
    `SELECT n.seq, n.session FROM team_news n JOIN sessions s ON s.id = n.session
     WHERE n.kind = 'continued_elsewhere' AND n.key = 'continued:' || s.id || ':' || s.recoveryBy
       AND s.recovery = 'recovered' AND NOT EXISTS (SELECT 1 FROM sessions heir WHERE heir.id = s.recoveryBy)`,
  );
  const isTaken = new Set(taken.map(({ id }) => id));
  return notices.filter(({ session }) => !isTaken.has(session));
}

/** A repeated takeover by the same chat is reported again. */
function reopen(sql: Sql, at: number, notices: readonly TakeoverNotice[]): void {
  for (const { seq, session } of notices) {
    teamNews.delete(sql, { seq });
    sessions.setRecovery(sql, at, session, null, null);
    recoveries.add(sql, { at, session: session, action: "undone" });
  }
}

function noticeKey(session: string, { chat }: Pick<Takeover, "chat">): string {
  return `continued:${session}:${chat}`;
}

/**
 * Reported once: a session that lives on in spite of that, and dies, is recovered itself.
 */
export function recordContinuation(sql: Sql, now: number, session: string, taken: Takeover): void {
  const { chat, machine } = taken;
  const ownSession = sessions.get(sql, session);
  if (!ownSession || chat === session) return;
  const notice: news.News = { kind: "continued_elsewhere", session, by: chat, machine };
  const key = noticeKey(session, taken);
  if (!news.add(sql, now, session, key, notice) || ownSession.endedAt !== null) return;
  if (ownSession.recovery === "offered" && ownSession.recoveryBy !== null)
    news.add(sql, now, ownSession.recoveryBy, key, notice);
  sessions.setRecovery(sql, now, session, "recovered", chat);
  recoveries.add(sql, { at: now, session: session, action: "recovered", by: chat });
}
