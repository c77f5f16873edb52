import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { recoveries, type LimitHandOver, type RecoveryAction } from "../../store/session-tables.ts";
import * as totals from "../../store/metric-totals.ts";
import * as news from "./news.ts";

export type { LimitHandOver, RecoveryAction } from "../../store/session-tables.ts";

export interface RecoveryNote {
  readonly at: number;
  readonly session: string;
  readonly action: RecoveryAction;
  readonly by?: string | null;
  readonly score?: number | null;
  readonly limit?: LimitHandOver | undefined;
}

export function add(sql: Sql, { at, session, action, by, score, ...detail }: RecoveryNote): void {
  recoveries.append(sql, { at, session, action, bySession: by, score, detail });
  totals.add(sql, "shim_recoveries_total", { labels: [action] });
  if (typeof score === "number") totals.observe(sql, "shim_restore_score_ratio", score / 100);
  const to = action === "undone" ? session : by;
  if (to && action !== "offered") news.handOnWords(sql, session, to);
}

/** Names another chat wherever this one is named. */
export function moveTo(sql: Sql, from: string, to: string): void {
  recoveries.update(sql, { bySession: from }, { bySession: to });
  news.handOnWords(sql, from, to);
}

/** A row as `recovery/resolution.ts` counts it. */
export interface RecoveryEvent {
  readonly session: string;
  readonly at: number;
  readonly action: RecoveryAction;
  readonly chat: string | null;
  /** Whether the user wrote in the chat: one that was opened and closed again decided nothing. */
  readonly hasPrompt: boolean;
}

/** A chat of a client without hooks exists by its calls, which follow a prompt. */
const promptSql = `EXISTS (SELECT 1 FROM journal WHERE session = r.bySession AND kind = 'prompt')
   OR EXISTS (SELECT 1 FROM sessions WHERE id = r.bySession AND origin = 'handle')`;

/** In the order of storage. Both times are epoch ms; `until` is exclusive. */
export function listEvents(
  sql: Sql,
  { session, since = 0, until = Number.MAX_SAFE_INTEGER }: EventFilter = {},
): RecoveryEvent[] {
  return sql
    .all<Omit<RecoveryEvent, "hasPrompt"> & { hasPrompt: number }>(
      `SELECT session, at, action, bySession AS chat, (${promptSql}) AS hasPrompt FROM recoveries r
       WHERE (? IS NULL OR session = ?) AND at >= ? AND at < ? ORDER BY seq`,
      session ?? null,
      session ?? null,
      since,
      until,
    )
    .map((row) => Object.assign(row, { hasPrompt: row.hasPrompt === 1 }));
}

interface EventFilter {
  readonly session?: string;
  readonly since?: number;
  readonly until?: number;
}

/** Lists what a chat was given to continue since `at` (epoch ms), newest first. */
export function listOfferedTo(sql: Sql, by: string, at: number): { readonly session: string; readonly at: number }[] {
  return sql.all(
    `SELECT session, max(at) AS at FROM recoveries
     WHERE bySession = ? AND action IN ('offered', 'taken', 'recovered') AND at >= ? GROUP BY session ORDER BY max(seq) DESC`,
    by,
    at,
  );
}

/** Lists what chats have taken over since `at` (epoch ms), newest first. */
export function listTaken(sql: Sql, at: number, limit: number): Taken[] {
  const rest = "WHERE action = 'taken' AND at >= ? AND bySession IS NOT NULL ORDER BY seq DESC LIMIT ?";
  return takenRows.select(sql, rest, at, limit).flatMap(toTaken);
}

/** The chat that the rule of a folder gave the session to at a usage limit, if it was the last. */
export function findHandOver(sql: Sql, sessionId: string): Taken | null {
  const rest = "WHERE session = ? AND action IN ('taken', 'undone', 'dismissed') ORDER BY seq DESC LIMIT 1";
  const [taken] = takenRows.select(sql, rest, sessionId).flatMap(toTaken);
  return taken?.limit ? taken : null;
}

interface Taken {
  readonly session: string;
  readonly by: string;
  readonly limit: LimitHandOver | null;
}

const takenRows = recoveries.pick("session", "bySession", "detail");

function toTaken({ session, bySession, detail }: RowOf<typeof takenRows>): Taken[] {
  return bySession === null ? [] : [{ session, by: bySession, limit: detail.limit ?? null }];
}

/** Returns null for none, or an undone one. */
export function noteOf(sql: Sql, sessionId: string): Pick<RecoveryNote, "at" | "action" | "by"> | null {
  const [row] = sql.all<Pick<RecoveryNote, "at" | "action" | "by">>(
    `SELECT at, action, bySession AS "by" FROM recoveries WHERE session = ? ORDER BY seq DESC LIMIT 1`,
    sessionId,
  );
  return row === undefined || row.action === "undone" ? null : row;
}

/** Whether the session was dismissed here and has shown no sign of life since. */
export function isDismissed(
  sql: Sql,
  { id, lastSeenAt }: { readonly id: string; readonly lastSeenAt: number },
): boolean {
  const note = noteOf(sql, id);
  return note?.action === "dismissed" && note.at >= lastSeenAt;
}

export function isTaken(sql: Sql, sessionId: string, by: string): boolean {
  const note = noteOf(sql, sessionId);
  return note?.action === "taken" && note.by === by;
}
