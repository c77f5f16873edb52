import * as budgets from "./budgets.ts";
import * as lanes from "./lanes.ts";
import { type Performance, comparePerformance, initialPerformance } from "./chat-performance.ts";
import type { Tx } from "../kernel/tx.ts";
import { integer, real, table, text } from "../../shared/table.ts";
import { compare } from "../../shared/compare.ts";
import * as chatRows from "../kernel/chat-rows.ts";

export interface AvailableChat extends Candidate {
  readonly life: chatRows.LivenessRow;
}

export interface AvailableChatRow extends chatRows.LivenessRow {
  readonly held: number;
  readonly lastAssignedAt: number | null;
}

const chatColumns = `chats.chat, chats.incarnation, machine, status, lastSeenAt, isConnected, graceUntil, dueAt, capabilities, capacity,
  lastAssignedAt, (SELECT count(*) FROM tasks WHERE tasks.chat = chats.chat) AS held`;

export interface TypedChat extends AvailableChat {
  readonly types: ReadonlySet<string>;
}

/** Whether any chat takes tasks; it may be unavailable. */
function exists({ sql }: Tx): boolean {
  return sql.all("SELECT 1 FROM chats WHERE taskTypes IS NOT NULL AND status <> 'offline' LIMIT 1").length > 0;
}

export function listAll(tx: Tx): TypedChat[] {
  const rows = tx.sql.all<AvailableChatRow & { readonly taskTypes: string }>(
    `SELECT ${chatColumns}, taskTypes FROM chats
     WHERE taskTypes IS NOT NULL AND status <> 'offline' AND status NOT IN ('draining', 'stuck') ORDER BY chat`,
  );
  return rows.flatMap((row) => {
    const chat = toAvailable(tx, row);
    return chat ? [{ ...chat, types: new Set(JSON.parse(row.taskTypes) as string[]) }] : [];
  });
}

/** [BU4] [QU6] Null for a chat that is over budget, offline or not connected. */
function toAvailable(tx: Tx, row: AvailableChatRow): AvailableChat | null {
  if (tx.presence.lastSeen(row.chat) === null || chatRows.offlineReason(tx, row) !== null) return null;
  if (budgets.checkExhausted(tx, row.chat) !== null) return null;
  return {
    chat: row.chat,
    running: row.held,
    capacity: row.capacity,
    capabilities: JSON.parse(row.capabilities) as string[],
    performance: null,
    lastAssignedAt: row.lastAssignedAt,
    life: row,
  };
}

interface Entry {
  readonly chat: string;
  readonly load: number;
  readonly failureTenths: number;
  readonly durationMs: number;
  readonly assignedAt: number;
}

interface EntryRow extends AvailableChatRow, Entry {
  readonly successRate: number | null;
  readonly mean_ms: number | null;
}

/** Chats that take tasks of one type, as far as they were read. */
interface Ranking {
  readonly type: string;
  readonly performances: Map<string, Performance | null>;
  /** No chat that is yet to be read ranks before this; null: nothing was read. */
  last: Entry | null;
  isComplete: boolean;
  pageSize: number;
  staleCount: number;
}

/** Up to this many entries without use are read each time, rather than written once. */
const maxStale = 128;
const firstPageSize = 8;
const maxPageSize = 64;

/** Chats with room for queued tasks, read in the order of [PL12] as far as a choice needs them. */
export class Candidates {
  readonly #tx: Tx;
  /** By name; null for a chat that is not available. */
  readonly #chats = new Map<string, AvailableChat | null>();
  readonly #rankings = new Map<string, Ranking>();
  #isEveryTypeTaken = false;

  constructor(tx: Tx) {
    this.#tx = tx;
  }

  /** Partition keys of queued tasks whose type some chat takes. */
  *lanes(): Generator<string, void> {
    if (!exists(this.#tx) || budgets.isDaySpent(this.#tx)) return;
    const types = new Map<string, boolean>();
    for (const lane of lanes.listQueued(this.#tx)) {
      const type = lanes.typeIn(lane);
      const isTaken = types.get(type) ?? this.#isTaken(type);
      types.set(type, isTaken);
      if (isTaken) yield lane;
    }
  }

  #isTaken(type: string): boolean {
    if (this.#isEveryTypeTaken) return true;
    const [row] = this.#tx.sql.all<{ every: number; own: number }>(
      `SELECT EXISTS (SELECT 1 FROM candidates WHERE type = '*' AND load < 1) AS every,
         EXISTS (SELECT 1 FROM candidates WHERE type = ? AND load < 1) AS own`,
      type,
    );
    this.#isEveryTypeTaken = row?.every === 1;
    return this.#isEveryTypeTaken || row?.own === 1;
  }

  select({ lane, affinity }: Pick<lanes.Front, "lane" | "affinity">): AvailableChat | null {
    const ranking = this.#rankingOf(lanes.typeIn(lane));
    const task = { capabilities: lanes.capabilitiesIn(lane), affinity };
    if (affinity !== null) this.#readChat(ranking, affinity);
    for (;;) {
      const { chat } = selectChat(this.#candidatesIn(ranking), task);
      const best = chat === null ? null : (this.#withPerformance(ranking, chat) ?? null);
      const isBest = best && ranking.last && compareCandidates(best, asCandidate(ranking.last), task) <= 0;
      if (isBest || ranking.isComplete) return best;
      this.#readPage(ranking);
    }
  }

  /** Counts one more task for the chat. */
  assign(candidate: AvailableChat): void {
    this.#chats.set(candidate.chat, { ...candidate, running: candidate.running + 1 });
  }

  /** Spares later dispatches the entries that this one has read without use. */
  settle(): void {
    for (const ranking of this.#rankings.values()) {
      if (ranking.staleCount > maxStale) this.#raiseStale(ranking);
      if (this.#isEveryTypeTaken) this.#separate(ranking.type);
    }
  }

  /** Ranks the chats by what their rows say now. */
  #raiseStale({ type, performances }: Ranking): void {
    this.#tx.sql.run(
      `UPDATE candidates SET load = fresh.load, assignedAt = fresh.at
         FROM (SELECT chat, (SELECT count(*) FROM tasks WHERE tasks.chat = chats.chat) * 1.0 / capacity AS load,
                 ifnull(lastAssignedAt, 0) AS at FROM chats WHERE chat IN (SELECT value FROM json_each(?))) AS fresh
         WHERE candidates.chat = fresh.chat AND type IN (?, '*') AND (candidates.load <> fresh.load OR assignedAt <> fresh.at)`,
      JSON.stringify([...performances.keys()]),
      type,
    );
  }

  /** Gives chats that take all types an entry for this one, where many chats have one. */
  #separate(type: string): void {
    const many =
      "SELECT 1 FROM candidates WHERE type = ? AND NOT EXISTS (SELECT 1 FROM candidates WHERE chat = '' AND type = ?) LIMIT 1 OFFSET ?";
    if (this.#tx.sql.all(many, type, type, maxStale).length === 0) return;
    this.#tx.sql.run(
      `INSERT INTO candidates (chat, type, load, failureTenths, durationMs, assignedAt)
       SELECT chat, ?, load, 0, 0, assignedAt FROM candidates WHERE type = '*' UNION ALL SELECT '', ?, 1, 0, 0, 0
       ON CONFLICT (chat, type) DO NOTHING`,
      type,
      type,
    );
  }

  #rankingOf(type: string): Ranking {
    const known = this.#rankings.get(type);
    if (known) return known;
    const fresh = {
      type,
      performances: new Map(),
      last: null,
      isComplete: false,
      pageSize: firstPageSize,
      staleCount: 0,
    };
    this.#rankings.set(type, fresh);
    return fresh;
  }

  #candidatesIn(ranking: Ranking): AvailableChat[] {
    return [...ranking.performances.keys()].flatMap((chat) => this.#withPerformance(ranking, chat) ?? []);
  }

  #withPerformance({ performances }: Ranking, chat: string): AvailableChat | null {
    const known = this.#chats.get(chat);
    return known ? { ...known, performance: performances.get(chat) ?? null } : null;
  }

  #readPage(ranking: Ranking): void {
    const { type, last, pageSize } = ranking;
    const after = last
      ? [last.load, last.failureTenths, last.durationMs, last.assignedAt, last.chat]
      : [-1, 0, 0, 0, ""];
    const values = [type, ...after, pageSize, type, ...after, type, pageSize, pageSize, type];
    const rows = this.#tx.sql.all<EntryRow>(pageSql, ...values);
    for (const row of rows) this.#add(ranking, row);
    ranking.last = rows.at(-1) ?? last;
    ranking.isComplete = rows.length < pageSize;
    ranking.pageSize = Math.min(pageSize * 2, maxPageSize);
  }

  #readChat(ranking: Ranking, chat: string): void {
    if (ranking.performances.has(chat)) return;
    const [row] = this.#tx.sql.all<EntryRow>(chatSql, chat, ranking.type, ranking.type);
    if (row) this.#add(ranking, row);
  }

  #add(ranking: Ranking, row: EntryRow): void {
    const performance = row.successRate === null ? null : { successRate: row.successRate, durationMs: row.mean_ms };
    ranking.performances.set(row.chat, performance);
    if (row.held / row.capacity > row.load || (row.lastAssignedAt ?? 0) > row.assignedAt) ranking.staleCount += 1;
    if (!this.#chats.has(row.chat)) this.#chats.set(row.chat, toAvailable(this.#tx, row));
  }
}

function asCandidate({ chat, load, failureTenths, durationMs, assignedAt }: Entry): Candidate {
  const performance = { successRate: 1 - failureTenths / 10, durationMs };
  return { chat, running: load, capacity: 1, capabilities: [], performance, lastAssignedAt: assignedAt };
}

const rank = "load, failureTenths, durationMs, assignedAt, chat";
const columns = `${chatColumns}, load, failureTenths, entry.durationMs, assignedAt, successRate, done.durationMs AS mean_ms`;
const joined = "JOIN chats USING (chat) LEFT JOIN chat_performance AS done ON done.chat = chats.chat AND done.type = ?";

/** An entry for all types does not count for a type with an entry of the chat's own. */
const pageSql = `SELECT ${columns} FROM (
    SELECT * FROM (SELECT ${rank} FROM candidates WHERE type = ? AND load < 1 AND (${rank}) > (?, ?, ?, ?, ?) ORDER BY ${rank} LIMIT ?)
    UNION ALL
    SELECT * FROM (SELECT ${rank} FROM candidates AS every
      WHERE type = iif(EXISTS (SELECT 1 FROM candidates WHERE chat = '' AND type = ?), NULL, '*') AND load < 1
      AND (${rank}) > (?, ?, ?, ?, ?)
      AND NOT EXISTS (SELECT 1 FROM candidates WHERE candidates.chat = every.chat AND candidates.type = ?) ORDER BY ${rank} LIMIT ?)
    ORDER BY ${rank} LIMIT ?) AS entry ${joined}
  ORDER BY load, failureTenths, entry.durationMs, assignedAt, entry.chat`;

const chatSql = `SELECT ${columns} FROM (SELECT ${rank} FROM candidates WHERE chat = ? AND type IN (?, '*') LIMIT 1) AS entry ${joined}`;

/** Whether an available chat with room could take a queued task. */
export function hasWork(tx: Tx): boolean {
  const candidates = new Candidates(tx);
  for (const lane of candidates.lanes()) if (candidates.select({ lane, affinity: null })) return true;
  return false;
}

const takesTasks = (row: string): string =>
  `(${row}.taskTypes IS NOT NULL AND ${row}.capacity > 0 AND ${row}.status NOT IN ('offline', 'draining', 'stuck'))`;

const takesEveryType = `${takesTasks("chats")} AND EXISTS (SELECT 1 FROM json_each(taskTypes) WHERE value = '*')`;

/** Where this addition is rounded up, and JavaScript's is not, the bound is only lower. */
const failureTenths = "10 - CAST(successRate * 10 + 0.5 AS INTEGER)";

/**
 * A chat that takes all types has an entry of its own for each type with a performance, and for
 * each type with an entry without a chat, which dispatch stores for a type that many chats have.
 */
const insert = (condition: string): string => `INSERT INTO candidates (chat, type, failureTenths, durationMs)
  SELECT chat, type, ifnull(${failureTenths}, 0), ifnull(durationMs, 0)
  FROM (SELECT chat, value AS type FROM chats, json_each(taskTypes) WHERE ${takesTasks("chats")} AND ${condition}
        UNION SELECT chat, type FROM chats JOIN chat_performance USING (chat) WHERE ${takesEveryType} AND ${condition}
        UNION SELECT chats.chat, type FROM chats JOIN candidates ON candidates.chat = '' WHERE ${takesEveryType} AND ${condition})
    LEFT JOIN chat_performance USING (chat, type)`;

const insertNew = insert("chats.chat = new.chat");

const storePerformance = `INSERT INTO candidates (chat, type, failureTenths, durationMs)
  SELECT chat, type, ${failureTenths}, ifnull(durationMs, 0) FROM chat_performance
  WHERE chat = new.chat AND type = new.type
    AND EXISTS (SELECT 1 FROM candidates WHERE candidates.chat = new.chat AND candidates.type IN (new.type, '*'))
  ON CONFLICT (chat, type) DO UPDATE SET failureTenths = excluded.failureTenths, durationMs = excluded.durationMs`;

/**
 * Chats by the types that they take, in the order of [PL12]. An entry never ranks behind what the
 * rows of its chat say. Only dispatch raises `load` and `assignedAt`; triggers reset them.
 */
export const candidates = table("candidates", {
  chat: text().primary(),
  type: text().primary(),
  load: real().default(0),
  failureTenths: integer(),
  durationMs: real(),
  assignedAt: integer().default(0),
});

export const candidateTriggers: readonly string[] = [
  "CREATE INDEX candidates_rank ON candidates (type, load, failureTenths, durationMs, assignedAt, chat)",
  `CREATE TRIGGER candidates_registered AFTER INSERT ON chats WHEN ${takesTasks("new")} BEGIN ${insertNew}; END`,
  `CREATE TRIGGER candidates_changed AFTER UPDATE OF status, taskTypes, capacity ON chats
   WHEN ${takesTasks("old")} <> ${takesTasks("new")} OR new.taskTypes IS NOT old.taskTypes OR new.capacity <> old.capacity BEGIN
     DELETE FROM candidates WHERE chat = new.chat;
     ${insertNew};
   END`,
  // The clock was set back.
  `CREATE TRIGGER candidates_assigned AFTER UPDATE OF lastAssignedAt ON chats WHEN new.lastAssignedAt < old.lastAssignedAt BEGIN
     UPDATE candidates SET assignedAt = 0 WHERE chat = new.chat AND assignedAt > 0;
   END`,
  `CREATE TRIGGER candidates_relieved AFTER UPDATE OF chat ON tasks WHEN old.chat IS NOT NULL AND new.chat IS NOT old.chat BEGIN
     UPDATE candidates SET load = 0 WHERE chat = old.chat AND load > 0;
   END`,
  `CREATE TRIGGER candidates_measured AFTER INSERT ON chat_performance BEGIN ${storePerformance}; END`,
  `CREATE TRIGGER candidates_measured_again AFTER UPDATE ON chat_performance BEGIN ${storePerformance}; END`,
];

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

export type NoChatReason = "no_chat" | "no_capability" | "no_capacity";

/**
 * [PL12] Least load (running / capacity), then affinity, expected performance, longest time without
 * a new task, name. A total order, independent of the order of candidates.
 */
export function selectChat(
  candidates: readonly Candidate[],
  task: TaskNeeds,
): { readonly chat: string } | { readonly chat: null; readonly why: NoChatReason } {
  if (candidates.length === 0) return { chat: null, why: "no_chat" };
  const capable = candidates.filter((candidate) => isCapable(candidate, task));
  if (capable.length === 0) return { chat: null, why: "no_capability" };
  const [first, ...others] = capable.filter(hasRoom);
  const best = first && others.reduce((best, one) => (compareCandidates(one, best, task) < 0 ? one : best), first);
  return best ? { chat: best.chat } : { chat: null, why: "no_capacity" };
}

/** [PL12] Sorts the better first. */
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
