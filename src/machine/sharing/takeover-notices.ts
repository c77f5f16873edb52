import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { teamNews } from "../../store/team-tables.ts";
import { decide } from "../sessions/life/claim.ts";
import type { Machine } from "../sessions/life/presence.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Takeover } from "../../store/sync-tables.ts";
import * as elsewhere from "./sessions-elsewhere.ts";
import type { SessionElsewhere } from "./sessions-elsewhere.ts";
import * as news from "../sessions/news.ts";

/** Writes only changes. */
export function recordTakeovers(runtime: Machine & Pick<Runtime, "store">, workspace: string, device: string): void {
  const { store } = runtime;
  const rows = store.read((sql) => elsewhere.list(sql, workspace, { device }), []);
  for (const { id: session, taken } of rows) {
    if (taken === null || store.read((sql) => news.has(sql, session, noticeKey(session, taken)), false)) continue;
    store.write((sql) => recordContinuation(sql, runtime, session, taken));
  }
  const returned = store.read((sql) => givenBack(sql, rows), []);
  if (returned.length === 0) return;
  store.write((sql) => {
    for (const { seq, session } of returned) {
      // A repeated takeover by the same chat is reported again.
      teamNews.delete(sql, { seq });
      decide(sql, runtime, { session, action: "undone" });
    }
  });
}

interface TakeoverNotice {
  readonly seq: number;
  readonly session: string;
}

/** Sessions that a chat of another machine continued, and does not any more. */
function givenBack(sql: Sql, taken: readonly Pick<SessionElsewhere, "id">[]): TakeoverNotice[] {
  const notices = sql.all<TakeoverNotice & { key: string }>(
    "SELECT seq, session, key FROM team_news WHERE kind = 'continued_elsewhere'",
  );
  const isTaken = new Set(taken.map(({ id }) => id));
  return notices.filter(({ session, key }) => {
    const { is, by } = recoveries.claimOf(sql, session) ?? { is: null, by: null };
    if (is !== "recovered" || by === null || isTaken.has(session)) return false;
    return key === noticeKey(session, { chat: by }) && sessions.get(sql, by) === null;
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
  if (!news.add(sql, now, session, key, notice) || ownSession.endedAt !== null) return;
  const before = recoveries.claimOf(sql, session);
  if ((before?.is === "offered" || before?.is === "taken") && before.by !== null)
    news.add(sql, now, before.by, key, notice);
  decide(sql, here, { session, action: "recovered", by: chat });
}
