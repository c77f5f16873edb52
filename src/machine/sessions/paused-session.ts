import type { Sql } from "../../shared/sql.ts";
import { isPaused, pauseLookup } from "../../store/pause.ts";
import * as sessions from "./sessions.ts";
import { digest } from "./entries.ts";
import * as meta from "../../store/meta.ts";

/** A chat may leave its first project; an event during a pause stores only the folder. */
function folderOf(sql: Sql, { id, cwd, project }: Pick<sessions.Session, "id" | "cwd" | "project">): string | null {
  return meta.read(sql, folderKey(id)) ?? cwd ?? project;
}

export function isSessionPaused(sql: Sql, now: number, session: sessions.Session): boolean {
  return isPaused(sql, now, () => folderOf(sql, session));
}

/** Treats a session that is not stored as paused only with every project. */
export function isPausedById(sql: Sql, now: number, sessionId: string): boolean {
  const session = sessions.get(sql, sessionId);
  return session ? isSessionPaused(sql, now, session) : isPaused(sql, now, null);
}

export function setPausedFolder(sql: Sql, sessionId: string, folder: string): void {
  meta.write(sql, folderKey(sessionId), folder);
}

export function clearPausedFolder(sql: Sql, sessionId: string): void {
  meta.remove(sql, folderKey(sessionId));
}

/** Limits of a transcript's read: its first byte, and the lines to skip. */
export interface PauseReadLimits {
  readonly minOffset?: number;
  readonly isExcluded?: (at: number, cwd: string | null) => boolean;
}

/** Skips what was said during pauses, by the file's mark or a line's time and folder. */
export function pauseReadLimits(
  sql: Sql,
  path: string,
  session: Pick<sessions.Session, "id" | "cwd" | "project">,
): PauseReadLimits {
  const minOffset = transcriptMark(sql, path);
  const isInPause = pauseLookup(sql);
  if (!isInPause) return { minOffset };
  const folder = folderOf(sql, session);
  return { minOffset, isExcluded: (at, cwd) => isInPause(at, [cwd, folder]) };
}

/** @param name the id of a session without a row, or the path of a transcript */
export function markTranscript(sql: Sql, name: string, offset: number): void {
  meta.write(sql, offsetKey(name), String(offset));
}

export function transcriptMark(sql: Sql, name: string): number {
  return Number(meta.read(sql, offsetKey(name)) ?? 0);
}

function folderKey(sessionId: string): string {
  return `paused_in:${digest(sessionId)}`;
}

function offsetKey(name: string): string {
  return `transcript_from:${digest(name)}`;
}
