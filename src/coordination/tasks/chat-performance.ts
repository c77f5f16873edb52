import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";
import { chatPerformance } from "./task-tables.ts";

const performances = chatPerformance.pick("successRate", "durationMs");

const minChange = { successRate: 0.02, durationShare: 0.05, durationMs: 50 };

type EndedAttempt = Pick<TaskRow, "chat" | "type" | "startedAt">;

export function record(tx: Tx, attempt: EndedAttempt, isSuccess: boolean): void {
  recordAll(tx, [attempt], isSuccess);
}

interface ChangedPerformance extends Performance {
  readonly chat: string;
  readonly type: string;
  readonly isNew: boolean;
}

/** @param attempts of one chat */
export function recordAll(tx: Tx, attempts: readonly EndedAttempt[], isSuccess: boolean): void {
  const changed = new Map<string, ChangedPerformance>();
  for (const attempt of attempts) {
    const change = changeBy(tx, attempt, isSuccess, changed);
    if (change) changed.set(keyOf(change.chat, change.type), change);
  }
  chatPerformance.putAll(tx.sql, [...changed.values()]);
}

/** [PL29] Changes only what affects dispatch. Small steps add up where they change the rank. */
function changeBy(
  tx: Tx,
  { chat, type, startedAt }: EndedAttempt,
  isSuccess: boolean,
  changed: ReadonlyMap<string, ChangedPerformance>,
): ChangedPerformance | null {
  if (chat === null || startedAt === null) return null;
  const known = changed.get(keyOf(chat, type));
  const stored = known ?? findStored(tx, chat, type);
  const current = stored ?? initialPerformance;
  const next = update(current, { isSuccess, durationMs: Math.max(0, tx.now - startedAt) });
  const isWritten = stored ? isRelevant(stored, next, isSuccess) : !hasMaxTypes(tx, chat, countNew(changed));
  return isWritten ? { chat, type, ...next, isNew: stored === null || known?.isNew === true } : null;
}

function isRelevant(current: Performance, next: Performance, isSuccess: boolean): boolean {
  return hasChanged(current, next) || !hasRankOf(current, isSuccess);
}

function countNew(changed: ReadonlyMap<string, ChangedPerformance>): number {
  return [...changed.values()].filter(({ isNew }) => isNew).length;
}

/** Names of chats have no line break. */
function keyOf(chat: string, type: string): string {
  return `${chat}\n${type}`;
}

const maxTypesPerChat = 500;

function hasMaxTypes({ sql }: Tx, chat: string, added: number): boolean {
  const query = "SELECT count(*) AS n FROM chat_performance WHERE chat = ?";
  return (sql.all<{ n: number }>(query, chat)[0]?.n ?? 0) + added >= maxTypesPerChat;
}

function findStored({ sql }: Tx, chat: string, type: string): Performance | null {
  return performances.find(sql, { chat, type });
}

function hasChanged(current: Performance, next: Performance): boolean {
  if (Math.abs(next.successRate - current.successRate) >= minChange.successRate) return true;
  if (current.durationMs === null || next.durationMs === null) return current.durationMs !== next.durationMs;
  const step = Math.max(minChange.durationMs, current.durationMs * minChange.durationShare);
  return Math.abs(next.durationMs - current.durationMs) >= step;
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
 * [PL13] Exponential smoothing (NIST/SEMATECH e-Handbook of Statistical Methods, 6.4.3.1). Failures
 * leave the duration: fast failures would rank as fastest.
 */
export function update(performance: Performance, { isSuccess, durationMs }: RunOutcome): Performance {
  const successRate = performance.successRate + smoothing * ((isSuccess ? 1 : 0) - performance.successRate);
  if (!isSuccess) return { ...performance, successRate };
  const previousMs = performance.durationMs ?? durationMs;
  return { successRate, durationMs: previousMs + smoothing * (durationMs - previousMs) };
}

/** [PL12] Ranks the better first. Tenths, so that a small difference cannot outweigh duration. */
export function comparePerformance(one: Performance, other: Performance): number {
  return tenths(other) - tenths(one) || (one.durationMs ?? 0) - (other.durationMs ?? 0);
}

function hasRankOf(performance: Performance, isSuccess: boolean): boolean {
  return tenths(performance) === (isSuccess ? 10 : 0);
}

function tenths({ successRate }: Performance): number {
  return Math.round(successRate * 10);
}
