import * as performance from "./performance.ts";
import type { Performance } from "./performance.ts";
import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "./tx.ts";

/** What is stored of how chats do with each type of task. */

interface Row {
  readonly chat: string;
  readonly type: string;
  readonly success_rate: number;
  readonly duration_ms: number | null;
}

/** What changes less is not worth a row: of the share of successes, of the duration, and in ms. */
const least = { successRate: 0.02, durationShare: 0.05, durationMs: 50 };

/**
 * [PL18] Of an attempt that was begun. Written where it changes what would be chosen: a chat that goes on as before writes nothing. Small steps
 * add up where they lead to another rank: one that has failed once comes back to those that never have.
 */
export function learn(tx: Tx, { chat, type, started_at }: TaskRow, isSuccess: boolean): void {
  if (chat === null || started_at === null) return;
  const stored = storedOf(tx, chat, type);
  const known = stored ?? performance.newcomer;
  const next = performance.observe(known, { isSuccess, durationMs: Math.max(0, tx.now - started_at) });
  const isKept = stored ? isNews(known, next) || !performance.isRankOf(known, isSuccess) : !knowsEnough(tx, chat);
  if (!isKept) return;
  tx.memory?.performances.set(`${chat}\n${type}`, next);
  tx.sql.run(
    `INSERT INTO chat_performance (chat, type, success_rate, duration_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET success_rate = excluded.success_rate, duration_ms = excluded.duration_ms`,
    chat,
    type,
    next.successRate,
    next.durationMs,
  );
}

/** Types of which it is known how well one chat does them; of others nothing is kept. */
const mostTypes = 500;

function knowsEnough({ sql }: Tx, chat: string): boolean {
  const query = "SELECT count(*) AS n FROM chat_performance WHERE chat = ?";
  return (sql.all<{ n: number }>(query, chat)[0]?.n ?? 0) >= mostTypes;
}

function storedOf({ sql, memory }: Tx, chat: string, type: string): Performance | null {
  const known = memory?.performances.get(`${chat}\n${type}`);
  if (known !== undefined) return known;
  const [row] = sql.all<Row>("SELECT * FROM chat_performance WHERE chat = ? AND type = ?", chat, type);
  const stored = row ? told(row) : null;
  memory?.performances.set(`${chat}\n${type}`, stored);
  return stored;
}

function isNews(known: Performance, next: Performance): boolean {
  if (Math.abs(next.successRate - known.successRate) >= least.successRate) return true;
  if (known.durationMs === null || next.durationMs === null) return known.durationMs !== next.durationMs;
  const step = Math.max(least.durationMs, known.durationMs * least.durationShare);
  return Math.abs(next.durationMs - known.durationMs) >= step;
}

function told(row: Row): Performance {
  return { successRate: row.success_rate, durationMs: row.duration_ms };
}

export type ByType = ReadonlyMap<string, Performance>;

/** Of the chats that tasks are pushed to, with tasks of these types. */
export function ofTakers({ sql }: Tx, types: ReadonlySet<string>): Map<string, ByType> {
  const rows = sql.all<Row>(
    `SELECT * FROM chat_performance WHERE chat IN (SELECT chat FROM chats WHERE task_types IS NOT NULL AND status <> 'offline')
       AND type IN (SELECT value FROM json_each(?))`,
    JSON.stringify([...types]),
  );
  const byChat = Map.groupBy(rows, ({ chat }) => chat);
  return new Map([...byChat].map(([chat, own]) => [chat, new Map(own.map((row) => [row.type, told(row)]))]));
}

export function forget({ sql, memory }: Tx, chat: string): void {
  memory?.performances.clear();
  sql.run("DELETE FROM chat_performance WHERE chat = ?", chat);
}
