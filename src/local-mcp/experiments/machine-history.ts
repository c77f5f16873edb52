import type { PastOffer, PastSession } from "../../experiments/opportunities/history.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RecoveryAction } from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { newestSessions, toReplaySession, type CorpusFilter } from "./corpus.ts";

/** Oldest first. */
export function pastSessions(sql: Sql, filter: CorpusFilter): PastSession[] {
  return newestSessions(sql, filter).flatMap(({ id, at }) => {
    const session = sessions.get(sql, id);
    return session ? [{ at, session: toReplaySession(sql, session) }] : [];
  });
}

interface RecoveryRow {
  readonly session: string;
  readonly at: number;
  readonly action: RecoveryAction;
  readonly died: number;
}

const outcomes: Partial<Record<RecoveryAction, PastOffer["outcome"]>> = {
  taken: "taken",
  recovered: "taken",
  dismissed: "dismissed",
  undone: "open",
};

/** Dead sessions that were offered or decided since then, each with its last outcome. */
export function pastOffers(sql: Sql, since: number): PastOffer[] {
  const rows = sql.all<RecoveryRow>(
    `SELECT session_id AS session, recoveries.at AS at, action, coalesce(death_at, last_seen_at, recoveries.at) AS died
     FROM recoveries LEFT JOIN sessions ON sessions.id = session_id
     WHERE recoveries.at >= ? AND action <> 'finished' ORDER BY seq`,
    since,
  );
  const offers = new Map<string, PastOffer>();
  for (const { session, at, action, died } of rows) {
    const first = offers.get(session) ?? { at, ageMs: Math.max(0, at - died), outcome: "open" };
    offers.set(session, { ...first, outcome: outcomes[action] ?? first.outcome });
  }
  return [...offers.values()];
}
