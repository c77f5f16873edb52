import type { NotifyEvent } from "../../contract/notify.ts";
import type { Sql } from "../../shared/sql.ts";
import { mayBeAlive } from "../processes.ts";
import { findIncomplete } from "../recovery/detect.ts";
import { quotedTitle } from "../recovery/recovery-line.ts";
import type { Runtime } from "../runtime.ts";
import { isClosed } from "../sessions/closed-sessions.ts";
import * as sessions from "../sessions/sessions.ts";
import { assess } from "../signals/risk.ts";

/** Something that the user is to be notified of, once for each `key`. No text of a chat but its title. */
export interface Notification {
  readonly event: NotifyEvent;
  readonly key: string;
  readonly session: string | null;
  readonly title: string | null;
  /** One sentence for people. */
  readonly text: string;
}

/** A death that was noticed longer ago is no news. */
const freshMs = 86_400_000;
/** A chat in its turn takes a message by itself within this time. */
const unreadMs = 30_000;
const mostChats = 20;

type Readers = { readonly [Event in NotifyEvent]: (sql: Sql, runtime: Runtime) => Notification[] };

const readers: Readers = {
  chat_died: deaths,
  message_waiting: messages,
  risk_critical: risks,
  // Only the coordinator knows them.
  task_dead: () => [],
};

/** [CL70] What is so now, whether or not the user has been notified of it. */
export function dueNotifications(sql: Sql, runtime: Runtime): Notification[] {
  return runtime.config.notify.events.flatMap((event) => readers[event](sql, runtime));
}

function deaths(sql: Sql, runtime: Runtime): Notification[] {
  const now = runtime.now();
  const accepts = (session: sessions.Session): boolean =>
    !isClosed(session) && now - Math.max(session.lastSeenAt, session.detachedAt ?? 0) <= freshMs;
  return findIncomplete(sql, runtime.processes, now, { limit: mostChats, accepts }).map(({ session, cause }) => {
    const { id, title, owner, startedAt } = session;
    const why = cause === "unknown" ? "" : ` (${cause.replaceAll("_", " ")})`;
    const key = `chat_died:${id}:${owner?.pid ?? 0}:${owner?.start ?? startedAt}`;
    return { event: "chat_died", key, session: id, title, text: `${quotedTitle(title)} died${why}` };
  });
}

interface Unread {
  readonly seq: number;
  readonly session: string;
  readonly title: string | null;
}

function messages(sql: Sql, { now, processes }: Runtime): Notification[] {
  const rows = sql.all<Unread>(
    `SELECT min(n.seq) AS seq, n.session_id AS session, s.title AS title FROM team_news n JOIN sessions s ON s.id = n.session_id
     WHERE n.kind = 'message' AND n.told_at IS NULL AND n.at <= ? AND s.ended_at IS NULL GROUP BY n.session_id LIMIT ?`,
    now() - unreadMs,
    mostChats,
  );
  return rows
    .filter(({ session }) => isLiving(sql, processes, session))
    .map(({ seq, session, title }) => ({
      event: "message_waiting",
      key: `message_waiting:${session}:${seq}`,
      session,
      title,
      text: `a message waits for ${quotedTitle(title)}`,
    }));
}

function isLiving(sql: Sql, processes: Runtime["processes"], id: string): boolean {
  const owner = sessions.get(sql, id)?.owner ?? null;
  return owner !== null && mayBeAlive(processes, owner);
}

function risks(sql: Sql, { now, processes, config }: Runtime): Notification[] {
  const living = [...sessions.listOpen(sql)].filter(({ owner }) => owner !== null && mayBeAlive(processes, owner));
  return living.flatMap(({ id, title, owner, readings }): Notification[] => {
    if (assess(readings, config.risk, now()).level !== "critical") return [];
    const key = `risk_critical:${id}:${owner?.pid ?? 0}:${owner?.start ?? ""}`;
    return [{ event: "risk_critical", key, session: id, title, text: `${quotedTitle(title)} is at critical risk` }];
  });
}
