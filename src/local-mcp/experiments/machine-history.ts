import type { PastOffer, PastSession } from "../../experiments/opportunities/history.ts";
import type { Sql } from "../../shared/sql.ts";
import { resolve } from "../recovery/resolution.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { newestSessions, toReplaySession, type CorpusFilter } from "./corpus.ts";

/** Oldest first. */
export function pastSessions(sql: Sql, filter: CorpusFilter): PastSession[] {
  return newestSessions(sql, filter).flatMap(({ id, at }) => {
    const session = sessions.get(sql, id);
    return session ? [{ at, session: toReplaySession(sql, session) }] : [];
  });
}

/** Dead sessions that were offered or decided since then, each with its resolution. */
export function pastOffers(sql: Sql, since: number): PastOffer[] {
  const known = resolve(recoveries.listEvents(sql, { since }));
  const seen = known.filter(({ resolution, offeredTo }) => resolution !== "open" || offeredTo.length > 0);
  return seen.map(({ session, at, resolution }) => {
    const dead = sessions.get(sql, session);
    return { at, ageMs: Math.max(0, at - (dead?.deathAt ?? dead?.lastSeenAt ?? at)), resolution };
  });
}
