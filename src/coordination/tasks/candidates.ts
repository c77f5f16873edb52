import { compare } from "../../shared/compare.ts";
import { among } from "../../shared/table.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import type { Tx } from "../kernel/tx.ts";
import * as budgets from "./budgets.ts";
import * as lanes from "./lanes.ts";
import type { TaskRow } from "./task-rows.ts";
import { chatPerformance } from "./task-tables.ts";

const performances = chatPerformance.pick("chat", "successRate", "durationMs");

/** By chat. */
function readPerformances({ sql }: Tx, type: string, chats: readonly string[]): Map<string, Performance> {
  const { text, value } = among(chats);
  const found = performances.select(sql, `WHERE chat ${text} AND type = ?`, value, type);
  return new Map(found.map(({ chat, ...performance }) => [chat, performance]));
}

const maxTypesPerChat = 500;

/** Writes only what affects dispatch. @param attempts of one chat, which have ended */
export function recordRun(
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
function comparePerformance(one: Performance, other: Performance): number {
  return tenths(other) - tenths(one) || (one.durationMs ?? 0) - (other.durationMs ?? 0);
}

function tenths({ successRate }: Performance): number {
  return Math.round(successRate * 10);
}

export interface AvailableChat extends Candidate {
  readonly life: chatRows.LivenessRow;
  readonly types: ReadonlySet<string>;
}

interface TypedRow extends chatRows.LivenessRow {
  readonly held: number;
  readonly lastAssignedAt: number | null;
  readonly taskTypes: string;
}

/** Chats among which a dispatch chooses, the least loaded first. */
const maxChats = 1_000;

/** Connected chats that take tasks, within their budget. */
export function listAvailable(tx: Tx): AvailableChat[] {
  const rows = tx.sql.all<TypedRow>(
    `SELECT *, (SELECT count(*) FROM tasks WHERE tasks.chat = chats.chat) AS held FROM chats
     WHERE taskTypes IS NOT NULL AND capacity > 0 AND status <> 'offline' AND status NOT IN ('draining', 'stuck')
     ORDER BY held * 1.0 / capacity, lastAssignedAt, chat LIMIT ?`,
    maxChats,
  );
  const isAvailable = (row: TypedRow): boolean =>
    tx.presence.lastSeen(row) !== null &&
    chatRows.offlineReason(tx, row) === null &&
    budgets.checkExhausted(tx, row.chat) === null;
  return rows.filter(isAvailable).map((row) => ({
    chat: row.chat,
    running: row.held,
    capacity: row.capacity,
    capabilities: JSON.parse(row.capabilities) as string[],
    performance: null,
    lastAssignedAt: row.lastAssignedAt,
    types: new Set(JSON.parse(row.taskTypes) as string[]),
    life: row,
  }));
}

/** Chats with room for queued tasks, read once for a dispatch. */
export class Candidates {
  readonly #tx: Tx;
  #chats: readonly AvailableChat[] | null = null;
  readonly #performances = new Map<string, ReadonlyMap<string, Performance>>();

  constructor(tx: Tx) {
    this.#tx = tx;
  }

  /** Partition keys of queued tasks whose type some chat takes. */
  *lanes(): Generator<string, void> {
    if (this.#all().length === 0) return;
    for (const lane of lanes.listQueued(this.#tx)) if (this.#ableTo(lanes.typeIn(lane)).length > 0) yield lane;
  }

  select({ lane, affinity }: Pick<lanes.Front, "lane" | "affinity">): AvailableChat | null {
    const type = lanes.typeIn(lane);
    const performances = this.#performancesOf(type);
    const able = this.#ableTo(type).map((one) =>
      Object.assign({}, one, { performance: performances.get(one.chat) ?? null }),
    );
    return selectChat(able, { capabilities: lanes.capabilitiesIn(lane), affinity });
  }

  /** Counts one more task for the chat. */
  assign({ chat, running }: AvailableChat): void {
    this.#chats = this.#all().map((one) =>
      one.chat === chat ? Object.assign({}, one, { running: running + 1 }) : one,
    );
  }

  #ableTo(type: string): AvailableChat[] {
    return this.#all().filter((one) => hasRoom(one) && (one.types.has("*") || one.types.has(type)));
  }

  #all(): readonly AvailableChat[] {
    this.#chats ??= listAvailable(this.#tx);
    return this.#chats;
  }

  #performancesOf(type: string): ReadonlyMap<string, Performance> {
    const known = this.#performances.get(type);
    if (known) return known;
    const read = readPerformances(
      this.#tx,
      type,
      this.#all().map(({ chat }) => chat),
    );
    this.#performances.set(type, read);
    return read;
  }
}

/** Whether an available chat with room could take a queued task. */
export function hasWork(tx: Tx): boolean {
  const candidates = new Candidates(tx);
  for (const lane of candidates.lanes()) if (candidates.select({ lane, affinity: null })) return true;
  return false;
}

export interface ChatLoad {
  readonly chat: string;
  readonly running: number;
  readonly capacity: number;
  readonly capabilities: readonly string[];
}

export interface Candidate extends ChatLoad {
  readonly performance: Performance | null;
  readonly lastAssignedAt: number | null;
}

export interface TaskNeeds {
  readonly capabilities: readonly string[];
  readonly affinity: string | null;
}

/**
 * Least load (running / capacity), then affinity, expected performance, longest time without
 * a new task, name. A total order, independent of the order of candidates.
 * @returns null: none that is capable has room
 */
export function selectChat<One extends Candidate>(candidates: readonly One[], task: TaskNeeds): One | null {
  const [first, ...others] = candidates.filter((one) => hasRoom(one) && isCapable(one, task));
  return first ? others.reduce((best, one) => (compareCandidates(one, best, task) < 0 ? one : best), first) : null;
}

/** Sorts the better first. */
function compareCandidates(a: Candidate, b: Candidate, { affinity }: TaskNeeds): number {
  return (
    loadOf(a) - loadOf(b) ||
    Number(b.chat === affinity) - Number(a.chat === affinity) ||
    comparePerformance(a.performance ?? initialPerformance, b.performance ?? initialPerformance) ||
    (a.lastAssignedAt ?? 0) - (b.lastAssignedAt ?? 0) ||
    compare(a.chat, b.chat)
  );
}

export function isCapable({ capabilities }: ChatLoad, task: Pick<TaskNeeds, "capabilities">): boolean {
  return task.capabilities.every((needed) => capabilities.includes(needed));
}

export function loadOf({ running, capacity }: ChatLoad): number {
  return running / capacity;
}

export function hasRoom({ running, capacity }: ChatLoad): boolean {
  return running < capacity;
}
