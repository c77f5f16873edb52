import type { Sql } from "../../shared/sql.ts";
import type { JournalRow } from "../sessions/journal.ts";
import { sessions, type Session } from "../../store/session-tables.ts";
import type { CheckpointContent } from "../sync/content-schema.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";

/** Uses this machine's clock and the other machine's folders; there is no owner. */
export function toSession(row: RemoteSession): Session {
  const { content } = row;
  const toLocal = localClock(row);
  const toLocalOrNull = (at: number | null): number | null => (at === null ? null : toLocal(at));
  return {
    id: row.session,
    client: content.client,
    clientVersion: content.clientVersion ?? null,
    project: content.project,
    cwd: content.cwd,
    title: content.title,
    name: null,
    model: content.model,
    transcriptPath: null,
    transcriptOffset: 0,
    origin: content.origin,
    parentId: null,
    owner: null,
    startedAt: toLocal(content.startedAt),
    lastSeenAt: toLocal(content.lastSeenAt),
    savedAt: toLocalOrNull(content.savedAt),
    endedAt: toLocalOrNull(content.endedAt),
    endReason: content.endReason,
    detachedAt: toLocalOrNull(content.detachedAt),
    detachReason: content.detachReason,
    recovery: null,
    recoveryAt: null,
    recoveryBy: null,
    toolCalls: content.toolCalls,
    toolErrors: content.toolErrors,
    readings: content.readings,
    riskMark: { covered: "safe", pending: null, belowAt: null },
    waiting: null,
    workedAt: null,
    deathAt: null,
  };
}

export function localClock({ at, content }: RemoteSession): (there: number) => number {
  return (there) => at - (content.sealedAt - there);
}

/** Skips older entries: they may predate a checkpoint that was sealed after them. */
export function unsavedSince({ content }: RemoteSession, newest: CheckpointContent | null): JournalRow[] {
  return content.unsaved.entries
    .filter((one) => newest === null || one.at > newest.at)
    .map(({ at, entry }, index) => ({ seq: index + 1, at, entry }));
}

/** A machine that has the session itself knows more than the mirror. */
export function isLocalSession(sql: Sql, { session }: RemoteSession): boolean {
  return sessions.has(sql, { id: session });
}
