import type { Sql } from "../../shared/sql.ts";
import type { JournalRow } from "../sessions/journal.ts";
import type { Session } from "../sessions/sessions.ts";
import type { CheckpointContent } from "../sync/contents.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";

/** Its session as the rest of SHIM knows one: times by this machine's clock, folders as they are called there, no owner that could be seen from here. */
export function sessionOf(row: RemoteSession): Session {
  const { content } = row;
  const here = clockOf(row);
  const maybe = (at: number | null): number | null => (at === null ? null : here(at));
  return {
    id: row.session,
    client: content.client,
    project: content.project,
    cwd: content.cwd,
    title: content.title,
    model: content.model,
    transcriptPath: null,
    transcriptOffset: 0,
    origin: content.origin,
    parentId: null,
    owner: null,
    startedAt: here(content.startedAt),
    lastSeenAt: here(content.lastSeenAt),
    savedAt: maybe(content.savedAt),
    endedAt: maybe(content.endedAt),
    endReason: content.endReason,
    detachedAt: maybe(content.detachedAt),
    detachReason: content.detachReason,
    recovery: null,
    recoveryAt: null,
    recoveryBy: null,
    toolCalls: content.toolCalls,
    toolErrors: content.toolErrors,
    readings: content.readings,
  };
}

/** What a time of that machine's clock is by this one's: both know when the row was sealed. */
export function clockOf({ at, content }: RemoteSession): (there: number) => number {
  return (there) => at - (content.sealedAt - there);
}

/** What happened after a checkpoint, as far as it came: the entries may be older than a checkpoint that was sealed after them. */
export function unsavedSince({ content }: RemoteSession, newest: CheckpointContent | null): JournalRow[] {
  return content.unsaved.entries
    .filter((one) => newest === null || one.at > newest.at)
    .map(({ at, entry }, index) => ({ seq: index + 1, at, entry }));
}

/** Whether this machine has a session of this name itself: then it knows more of it than its mirror tells. */
export function isOwn(sql: Sql, { session }: RemoteSession): boolean {
  return sql.all("SELECT 1 FROM sessions WHERE id = ?", session).length > 0;
}
