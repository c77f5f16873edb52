import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { recoveries, type LimitHandOver, type RecoveryAction } from "../../store/session-tables.ts";
import * as totals from "../../store/metric-totals.ts";
import * as news from "./news.ts";

export type { LimitHandOver, RecoveryAction } from "../../store/session-tables.ts";

/** Gives a session to a chat, or says that the user does not want it. */
export interface Claim {
  readonly is: Exclude<RecoveryAction, "mentioned" | "undone" | "returned">;
  readonly by: string | null;
  /** Epoch ms. */
  readonly at: number;
}

/** The newest decision about a session of any machine, lapsed or not; null: it is free. */
export function claimOf(sql: Sql, session: string): Claim | null {
  const [newest] = sql.all<Omit<Claim, "is"> & { readonly is: RecoveryAction }>(
    `SELECT action AS "is", bySession AS "by", at FROM recoveries
     WHERE session = ? AND action <> 'mentioned' ORDER BY seq DESC LIMIT 1`,
    session,
  );
  return newest === undefined || newest.is === "undone" || newest.is === "returned" ? null : (newest as Claim);
}

/** Sessions whose newest decision gives them to a chat, the newest decision first. */
export function claimsBy(sql: Sql, chat: string): (Claim & { readonly session: string })[] {
  return sql.all(
    `SELECT session, action AS "is", bySession AS "by", at FROM recoveries r
     WHERE bySession = ? AND action IN ('offered', 'taken', 'recovered')
       AND seq = (SELECT max(seq) FROM recoveries WHERE session = r.session AND action <> 'mentioned') ORDER BY seq DESC`,
    chat,
  );
}

/** Sessions that the chat was offered, or takes and has not worked on yet. */
export function heldBy(sql: Sql, chat: string): ReturnType<typeof claimsBy> {
  return claimsBy(sql, chat).filter(({ is }) => is !== "recovered");
}

/**
 * Its own client has opened a session again: it is free. The chat that was given it has its brief,
 * and would go on with the same work.
 */
export function noteReturn(sql: Sql, at: number, session: string): void {
  const before = claimOf(sql, session);
  if (before === null) return;
  add(sql, { at, session, action: "returned" });
  if (before.by === null) return;
  const text = `Session ${session}, which this chat was given to continue, is open again in its own client: leave its work alone, whatever its brief says, unless the user wants both.`;
  news.add(sql, at, before.by, `returned:${session}:${at}`, { kind: "notice", text });
}

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
  if (to && action !== "offered" && action !== "mentioned") news.handOnWords(sql, session, to);
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
