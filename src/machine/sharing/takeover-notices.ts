import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { teamNews } from "../../store/team-tables.ts";
import { decide } from "../sessions/life/claim.ts";
import type { Machine } from "../sessions/life/presence.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Takeover } from "../../store/sync-tables.ts";
import * as elsewhere from "./sessions-elsewhere.ts";
import * as news from "../sessions/news.ts";

/** Writes only changes. */
export function recordTakeovers(runtime: Machine & Pick<Runtime, "store">, workspace: string, device: string): void {
  const { store } = runtime;
  const rows = store.read((sql) => elsewhere.list(sql, workspace, { device }), []);
  for (const { id: session, taken } of rows) {
    if (taken === null || store.read((sql) => news.has(sql, session, noticeKey(session, taken)), false)) continue;
    store.write((sql) => recordContinuation(sql, runtime, session, taken));
  }
  const isTaken = new Set(rows.map(({ id }) => id));
  const returned = store.read((sql) => continuedElsewhere(sql).filter(({ session }) => !isTaken.has(session)), []);
  if (returned.length === 0) return;
  store.write((sql) => {
    for (const { session, chat } of returned) {
      // A repeated takeover by the same chat is reported again.
      teamNews.delete(sql, { session, key: noticeKey(session, { chat }) });
      decide(sql, runtime, { session, action: "undone" });
    }
  });
}

/** Sessions of this machine that a chat of another one continues, as this machine has reported. */
function continuedElsewhere(sql: Sql): { readonly session: string; readonly chat: string }[] {
  const reported = sql.all<{ session: string }>("SELECT session FROM team_news WHERE kind = 'continued_elsewhere'");
  return reported.flatMap(({ session }) => {
    const { is, by } = recoveries.claimOf(sql, session) ?? { is: null, by: null };
    return is === "recovered" && by !== null && sessions.get(sql, by) === null ? [{ session, chat: by }] : [];
  });
}

function noticeKey(session: string, { chat }: Pick<Takeover, "chat">): string {
  return `continued:${session}:${chat}`;
}

/**
 * Reported once: a session that lives on in spite of that, and dies, is recovered itself.
 */
export function recordContinuation(sql: Sql, here: Machine, session: string, taken: Takeover): void {
  const now = here.now();
  const { chat, machine } = taken;
  const ownSession = sessions.get(sql, session);
  if (!ownSession || chat === session) return;
  const notice: news.News = { kind: "continued_elsewhere", session, by: chat, machine };
  const key = noticeKey(session, taken);
  if (!news.add(sql, now, session, key, notice) || ownSession.ending?.how === "ended") return;
  const before = recoveries.claimOf(sql, session);
  if ((before?.is === "offered" || before?.is === "taken") && before.by !== null)
    news.add(sql, now, before.by, key, notice);
  decide(sql, here, { session, action: "recovered", by: chat });
}
