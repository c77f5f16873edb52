import type { Sql } from "../../shared/sql.ts";
import type { JournalRow } from "../sessions/journal.ts";
import { sessions, type Session } from "../../store/session-tables.ts";
import type { CheckpointContent } from "../sharing/record-contents.ts";
import type { RemoteSession } from "../sharing/remote-sessions.ts";

/** Uses this machine's clock and the other machine's folders; there is no owner. */
export function toSession(row: RemoteSession): Session {
  const { content } = row;
  const toLocal = localClock(row);
  const toLocalOrNull = (at: number | null): number | null => (at === null ? null : toLocal(at));
  const { startedAt, lastSeenAt, savedAt, endedAt, detachedAt } = content;
  return {
    ...content,
    id: row.session,
    name: null,
    transcriptPath: null,
    transcriptOffset: 0,
    parentId: null,
    owner: null,
    startedAt: toLocal(startedAt),
    lastSeenAt: toLocal(lastSeenAt),
    savedAt: toLocalOrNull(savedAt),
    endedAt: toLocalOrNull(endedAt),
    detachedAt: toLocalOrNull(detachedAt),
    recovery: null,
    recoveryAt: null,
    recoveryBy: null,
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
