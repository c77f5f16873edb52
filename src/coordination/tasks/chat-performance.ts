import * as performance from "../kernel/performance.ts";
import type { Performance } from "../kernel/performance.ts";
import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";

interface PerformanceRow {
  readonly chat: string;
  readonly type: string;
  readonly success_rate: number;
  readonly duration_ms: number | null;
}

const minChange = { successRate: 0.02, durationShare: 0.05, durationMs: 50 };

/** [PL29] Writes only what affects dispatch. Small steps add up where they change the rank. */
export function record(tx: Tx, { chat, type, started_at }: TaskRow, isSuccess: boolean): void {
  if (chat === null || started_at === null) return;
  const stored = findStored(tx, chat, type);
  const current = stored ?? performance.initialPerformance;
  const next = performance.update(current, { isSuccess, durationMs: Math.max(0, tx.now - started_at) });
  const isWritten = stored
    ? hasChanged(current, next) || !performance.hasRankOf(current, isSuccess)
    : !hasMaxTypes(tx, chat);
  if (!isWritten) return;
  tx.cache?.performances.set(`${chat}\n${type}`, next);
  tx.sql.run(
    `INSERT INTO chat_performance (chat, type, success_rate, duration_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET success_rate = excluded.success_rate, duration_ms = excluded.duration_ms`,
    chat,
    type,
    next.successRate,
    next.durationMs,
  );
}

const maxTypesPerChat = 500;

function hasMaxTypes({ sql }: Tx, chat: string): boolean {
  const query = "SELECT count(*) AS n FROM chat_performance WHERE chat = ?";
  return (sql.all<{ n: number }>(query, chat)[0]?.n ?? 0) >= maxTypesPerChat;
}

function findStored({ sql, cache }: Tx, chat: string, type: string): Performance | null {
  const current = cache?.performances.get(`${chat}\n${type}`);
  if (current !== undefined) return current;
  const [row] = sql.all<PerformanceRow>("SELECT * FROM chat_performance WHERE chat = ? AND type = ?", chat, type);
  const stored = row ? toPerformance(row) : null;
  cache?.performances.set(`${chat}\n${type}`, stored);
  return stored;
}

function hasChanged(current: Performance, next: Performance): boolean {
  if (Math.abs(next.successRate - current.successRate) >= minChange.successRate) return true;
  if (current.durationMs === null || next.durationMs === null) return current.durationMs !== next.durationMs;
  const step = Math.max(minChange.durationMs, current.durationMs * minChange.durationShare);
  return Math.abs(next.durationMs - current.durationMs) >= step;
}

function toPerformance(row: PerformanceRow): Performance {
  return { successRate: row.success_rate, durationMs: row.duration_ms };
}

export type PerformanceByType = ReadonlyMap<string, Performance>;

export function readByChat({ sql }: Tx, types: ReadonlySet<string>): Map<string, PerformanceByType> {
  const rows = sql.all<PerformanceRow>(
    `SELECT * FROM chat_performance WHERE chat IN (SELECT chat FROM chats WHERE task_types IS NOT NULL AND status <> 'offline')
       AND type IN (SELECT value FROM json_each(?))`,
    JSON.stringify([...types]),
  );
  const byChat = Map.groupBy(rows, ({ chat }) => chat);
  return new Map([...byChat].map(([chat, own]) => [chat, new Map(own.map((row) => [row.type, toPerformance(row)]))]));
}

export function deleteChat({ sql, cache }: Tx, chat: string): void {
  cache?.performances.clear();
  sql.run("DELETE FROM chat_performance WHERE chat = ?", chat);
}
