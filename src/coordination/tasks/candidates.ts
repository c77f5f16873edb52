import * as availableChats from "./available-chats.ts";
import type { AvailableChat } from "./available-chats.ts";
import * as balance from "./balance.ts";
import * as budgets from "./budgets.ts";
import * as lanes from "./lanes.ts";
import type { Performance } from "../kernel/performance.ts";
import type { Tx } from "../kernel/tx.ts";

interface Entry {
  readonly chat: string;
  readonly load: number;
  readonly failureTenths: number;
  readonly durationMs: number;
  readonly assignedAt: number;
}

interface EntryRow extends availableChats.AvailableChatRow, Entry {
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
    if (!availableChats.exists(this.#tx) || budgets.isDaySpent(this.#tx)) return;
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
      const { chat } = balance.selectChat(this.#candidatesIn(ranking), task);
      const best = chat === null ? null : (this.#withPerformance(ranking, chat) ?? null);
      const isBest = best && ranking.last && balance.compareCandidates(best, asCandidate(ranking.last), task) <= 0;
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
    if (!this.#chats.has(row.chat)) this.#chats.set(row.chat, availableChats.toAvailable(this.#tx, row));
  }
}

function asCandidate({ chat, load, failureTenths, durationMs, assignedAt }: Entry): balance.Candidate {
  const performance = { successRate: 1 - failureTenths / 10, durationMs };
  return { chat, running: load, capacity: 1, capabilities: [], performance, lastAssignedAt: assignedAt };
}

const rank = "load, failureTenths, durationMs, assignedAt, chat";
const columns = `${availableChats.columns}, load, failureTenths, entry.durationMs, assignedAt, successRate, done.durationMs AS mean_ms`;
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
