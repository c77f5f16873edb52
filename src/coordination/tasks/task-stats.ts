import { ok } from "../../shared/result.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import { compare } from "../../shared/compare.ts";
import type { TypeStats } from "../../contract/task-views.ts";

const hourMs = 3_600_000;
/** Counted one by one: done tasks have no index, and the object does nothing else meanwhile. */
const maxCounted = 100_000;
/** Bound of the tasks read for statistics by type, and for what was done lately. */
const maxSampled = 10_000;
const maxTypes = 1_000;

export const handlers = {
  /** Covers kept tasks; cancelled and dead ones only count into the total. */
  "tasks.progress"({ sql }, { parent }) {
    const [where, values] = parent === undefined ? ["", []] : ["WHERE parent = ?", [parent]];
    const counts = sql.all<{ state: string; n: number; chats: number }>(
      `SELECT state, count(*) AS n FROM (SELECT state FROM tasks ${where} ORDER BY task DESC LIMIT ?) GROUP BY state`,
      ...values,
      maxCounted,
    );
    const sum = (...states: string[]): number =>
      counts.reduce((total, { state, n }) => total + (states.length === 0 || states.includes(state) ? n : 0), 0);
    const [held] = sql.all<{ chats: number }>(
      `SELECT count(DISTINCT chat) AS chats FROM tasks ${where === "" ? "WHERE" : `${where} AND`} chat IS NOT NULL`,
      ...values,
    );
    return ok({
      totalTasks: sum(),
      completedTasks: sum("done"),
      inProgressTasks: sum("assigned", "running"),
      queuedTasks: sum("blocked", "scheduled", "queued"),
      activeChats: held?.chats ?? 0,
      isAll: sum() < maxCounted,
    });
  },

  "tasks.stats"({ sql, now }, { type }) {
    const all = sql.all<StatsRow>(statsSql, now, now, now - hourMs, maxSampled);
    const sampled = all.reduce((total, { tasks }) => total + tasks, 0);
    const matching = all.filter((row) => type === undefined || row.type === type);
    return ok({
      types: matching
        .slice(0, maxTypes)
        .map(toTypeStats)
        .toSorted((a, b) => compare(a.type, b.type)),
      isAll: sampled < maxSampled && matching.length <= maxTypes,
    });
  },

  /** Load of live chats, by name. */
  "tasks.load"({ sql, now }) {
    const rows = sql.all<LoadRow>(loadSql, maxSampled, now - hourMs);
    return ok({
      chats: rows.map(({ chat, running, capacity, done }) => ({
        chatId: chat,
        currentTasks: running,
        // 1 for a chat with capacity 0 that still has tasks.
        utilizationRate: running === 0 ? 0 : Math.min(1, running / capacity),
        throughput: done,
      })),
    });
  },
} satisfies Partial<Handlers>;

interface StatsRow extends Omit<TypeStats, "wait" | "run"> {
  readonly tasks: number;
  /** JSON arrays of durations. */
  readonly waits: string;
  readonly runs: string;
}

/** Percentiles are left to the caller: window functions take five times as long. */
const durationColumns = `
    json_group_array(max(0, assignedAt - queuedAt)) FILTER (WHERE assignedAt - queuedAt IS NOT NULL) AS waits,
    json_group_array(max(0, endedAt - startedAt)) FILTER (WHERE state = 'done' AND endedAt - startedAt IS NOT NULL) AS runs`;

const recentSql = `SELECT ${durationColumns}
  FROM (SELECT state, queuedAt, assignedAt, startedAt, endedAt FROM tasks ORDER BY task DESC LIMIT ?)`;

const statsSql = `
  SELECT type, count(*) AS tasks, sum(state = 'queued') AS queued, sum(state IN ('assigned', 'running')) AS running,
    sum(state = 'done') AS done, sum(state = 'dead') AS dead,
    max(iif(state = 'queued', ? - ifnull(queuedAt, ?), NULL)) AS oldestQueuedMs,
    sum(state = 'done' AND ifnull(endedAt, 0) > ?) AS doneLastHour,${durationColumns}
  FROM (SELECT task, type, state, queuedAt, assignedAt, startedAt, endedAt FROM tasks ORDER BY task DESC LIMIT ?)
  GROUP BY type ORDER BY tasks DESC, max(task) DESC`;

function toTypeStats({ tasks: _tasks, waits, runs, ...counts }: StatsRow): TypeStats {
  return { ...counts, wait: percentiles(waits), run: percentiles(runs) };
}

function percentiles(durations: string): TypeStats["wait"] {
  const sorted = (JSON.parse(durations) as number[]).toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return sorted.length === 0 ? null : { p50Ms: at(0.5), p95Ms: at(0.95) };
}

export interface RecentDuration {
  readonly name: "shim_task_wait_seconds" | "shim_task_run_seconds";
  readonly percentile: "50" | "95";
  readonly ms: number;
}

/** Percentiles over the newest tasks, of all types. */
export function recentDurations({ sql }: Pick<Tx, "sql">): RecentDuration[] {
  const [row] = sql.all<{ waits: string; runs: string }>(recentSql, maxSampled);
  return [
    ...toDurations("shim_task_wait_seconds", percentiles(row?.waits ?? "[]")),
    ...toDurations("shim_task_run_seconds", percentiles(row?.runs ?? "[]")),
  ];
}

function toDurations(name: RecentDuration["name"], found: TypeStats["wait"]): RecentDuration[] {
  if (found === null) return [];
  return [
    { name, percentile: "50", ms: found.p50Ms },
    { name, percentile: "95", ms: found.p95Ms },
  ];
}

interface LoadRow {
  readonly chat: string;
  readonly capacity: number;
  readonly running: number;
  readonly done: number;
}

const loadSql = `
  SELECT chat, capacity, (SELECT count(*) FROM tasks WHERE tasks.chat = chats.chat) AS running, ifnull(n, 0) AS done
  FROM chats LEFT JOIN (
    SELECT doneBy, count(*) AS n FROM (SELECT doneBy, endedAt FROM tasks ORDER BY task DESC LIMIT ?)
    WHERE doneBy IS NOT NULL AND endedAt > ? GROUP BY doneBy) ON doneBy = chat
  WHERE status <> 'offline' ORDER BY chat`;
