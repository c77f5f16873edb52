import { among } from "../../shared/sql.ts";
import type { Tx } from "../kernel/tx.ts";
import type { TaskRow } from "./task-rows.ts";
import { chatPerformance } from "./task-tables.ts";

const performances = chatPerformance.pick("chat", "successRate", "durationMs");

/** By chat. */
export function readPerformances({ sql }: Tx, type: string, chats: readonly string[]): Map<string, Performance> {
  const { text, value } = among(chats);
  const found = performances.select(sql, `WHERE chat ${text} AND type = ?`, value, type);
  return new Map(found.map(({ chat, ...performance }) => [chat, performance]));
}

const maxTypesPerChat = 500;

/** Writes only what affects dispatch. @param attempts of one chat, which have ended */
export function record(
  tx: Tx,
  attempts: readonly Pick<TaskRow, "chat" | "type" | "startedAt">[],
  isSuccess: boolean,
): void {
  const changed = new Map<string, Performance & { readonly chat: string; readonly type: string }>();
  for (const { chat, type, startedAt } of attempts) {
    if (chat === null || startedAt === null) continue;
    const stored = changed.get(type) ?? readPerformances(tx, type, [chat]).get(chat);
    const next = update(stored ?? initialPerformance, { isSuccess, durationMs: Math.max(0, tx.now - startedAt) });
    const isWritten = stored
      ? isRelevant(stored, next, isSuccess)
      : chatPerformance.count(tx.sql, { chat }) + changed.size < maxTypesPerChat;
    if (isWritten) changed.set(type, { chat, type, ...next });
  }
  chatPerformance.putAll(tx.sql, [...changed.values()]);
}

/** Small steps add up where more of the same would change the rank. */
function isRelevant(current: Performance, next: Performance, isSuccess: boolean): boolean {
  if (tenths(current) !== (isSuccess ? 10 : 0) || Math.abs(next.successRate - current.successRate) >= 0.02) return true;
  if (current.durationMs === null || next.durationMs === null) return current.durationMs !== next.durationMs;
  return Math.abs(next.durationMs - current.durationMs) >= Math.max(50, current.durationMs / 20);
}

export function deleteChat({ sql }: Tx, chat: string): void {
  chatPerformance.delete(sql, { chat });
}

/** Pure. Stored. Add fields as optional. */
export interface Performance {
  readonly successRate: number;
  readonly durationMs: number | null;
}

export interface RunOutcome {
  readonly isSuccess: boolean;
  readonly durationMs: number;
}

/**
 * Optimistic initial values: new chats get work (Sutton and Barto, "Reinforcement Learning", 2.6).
 */
export const initialPerformance: Performance = { successRate: 1, durationMs: null };

/** The newest five outcomes count two thirds of all: 1 - 0.8^5. */
const smoothing = 0.2;

/**
 * Exponential smoothing (NIST/SEMATECH e-Handbook of Statistical Methods, 6.4.3.1). Failures
 * leave the duration: fast failures would rank as fastest.
 */
export function update(performance: Performance, { isSuccess, durationMs }: RunOutcome): Performance {
  const successRate = performance.successRate + smoothing * ((isSuccess ? 1 : 0) - performance.successRate);
  if (!isSuccess) return { ...performance, successRate };
  const previousMs = performance.durationMs ?? durationMs;
  return { successRate, durationMs: previousMs + smoothing * (durationMs - previousMs) };
}

/** Ranks the better first. Tenths, so that a small difference cannot outweigh duration. */
export function comparePerformance(one: Performance, other: Performance): number {
  return tenths(other) - tenths(one) || (one.durationMs ?? 0) - (other.durationMs ?? 0);
}

function tenths({ successRate }: Performance): number {
  return Math.round(successRate * 10);
}
