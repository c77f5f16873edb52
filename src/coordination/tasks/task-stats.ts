import { ok } from "../../shared/result.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import { compare } from "../../shared/compare.ts";
import type { TypeStats } from "../../contract/task-views.ts";

const hourMs = 3_600_000;
/** Counted one by one: done tasks have no index, and the object does nothing else meanwhile. */
const maxCounted = 100_000;
/** Bounds of the tasks read for statistics by type, and of the attempts for the load. */
const maxSampled = 10_000;
const maxTypes = 1_000;

export const handlers = {
  /** [TA25] Covers kept tasks; cancelled and dead ones only count into the total. */
  "tasks.progress"(tx, { parent }) {
    const counts = countNewest(tx, parent);
    const isAll = sum(counts) < maxCounted;
    const held = countHeld(tx, parent);
    if (!isAll && parent === undefined) {
      counts.set("queued", countQueued(tx)).set("running", held.n).delete("assigned");
    }
    return ok({
      totalTasks: sum(counts),
      completedTasks: sum(counts, "done"),
      inProgressTasks: sum(counts, "assigned", "running"),
      queuedTasks: sum(counts, "blocked", "scheduled", "queued"),
      activeChats: held.chats,
      isAll,
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

  /** [PL14] Load of live chats, by name. */
  "tasks.load"({ sql, now }) {
    const limits = [maxSampled, maxCounted, maxSampled, maxSampled] as const;
    const [sample] = sql.all<{ attempts: number; tasks: number }>(sampleSql, ...limits, maxCounted);
    const rows = sql.all<LoadRow>(loadSql, ...limits, now - hourMs);
    const isSample = sample?.attempts === maxSampled || sample?.tasks === maxCounted;
    return ok({ chats: rows.map(toLoadMetrics), isSample });
  },
} satisfies Partial<Handlers>;

type Counts = Map<string, number>;

function sum(counts: Counts, ...states: string[]): number {
  const selected = states.length === 0 ? [...counts.keys()] : states;
  return selected.reduce((total, state) => total + (counts.get(state) ?? 0), 0);
}

function countNewest({ sql }: Tx, parent: number | undefined): Counts {
  const where = parent === undefined ? "" : "WHERE parent = ?";
  const rows = sql.all<{ state: string; n: number }>(
    `SELECT state, count(*) AS n FROM (SELECT state FROM tasks ${where} ORDER BY task DESC LIMIT ?) GROUP BY state`,
    ...(parent === undefined ? [] : [parent]),
    maxCounted,
  );
  return new Map(rows.map(({ state, n }) => [state, n]));
}

function countQueued({ sql }: Tx): number {
  return sql.all<{ n: number }>("SELECT count(*) AS n FROM tasks WHERE state = 'queued'")[0]?.n ?? 0;
}

function countHeld({ sql }: Tx, parent: number | undefined): { readonly n: number; readonly chats: number } {
  const [row] = sql.all<{ n: number; chats: number }>(
    "SELECT count(*) AS n, count(DISTINCT chat) AS chats FROM tasks WHERE chat IS NOT NULL AND (? IS NULL OR parent = ?)",
    parent ?? null,
    parent ?? null,
  );
  return row ?? { n: 0, chats: 0 };
}

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
  readonly ended: number;
  readonly runMs: number;
}

/** The newest attempts; successful ones are read of the newest tasks, since those have no index. */
const newestAttemptsSql = `
  SELECT * FROM (
    SELECT * FROM (SELECT task, claim, chat, ended, startedAt, endedAt FROM attempts ORDER BY task DESC, claim DESC LIMIT ?)
    UNION ALL
    SELECT * FROM (SELECT task, claim, doneBy, 'done', startedAt, endedAt
      FROM (SELECT task, claim, doneBy, startedAt, endedAt FROM tasks ORDER BY task DESC LIMIT ?)
      WHERE doneBy IS NOT NULL LIMIT ?))
  ORDER BY task DESC, claim DESC LIMIT ?`;

const sampleSql = `SELECT (SELECT count(*) FROM (${newestAttemptsSql})) AS attempts,
  (SELECT count(*) FROM (SELECT 1 FROM tasks LIMIT ?)) AS tasks`;

const loadSql = `
  SELECT chats.chat AS chat, capacity, (SELECT count(*) FROM tasks WHERE tasks.chat = chats.chat) AS running,
    ifnull(done, 0) AS done, ifnull(ended, 0) AS ended, ifnull(run_ms, 0) AS runMs
  FROM chats LEFT JOIN (
    SELECT chat, sum(ended = 'done') AS done, count(*) AS ended, sum(max(0, endedAt - startedAt)) AS run_ms
    FROM (${newestAttemptsSql})
    WHERE endedAt > ? AND ended IN ('done', 'failed', 'timeout', 'stalled') GROUP BY chat) AS recent ON recent.chat = chats.chat
  WHERE status <> 'offline' ORDER BY chats.chat`;

function toLoadMetrics({ chat, running, capacity, done, ended, runMs }: LoadRow) {
  return {
    chatId: chat,
    currentTasks: running,
    // 1 for a chat with capacity 0 that still has tasks.
    utilizationRate: running === 0 ? 0 : Math.min(1, running / capacity),
    throughput: done,
    successRate: ended > 0 ? done / ended : null,
    avgDurationMs: ended > 0 ? runMs / ended : null,
  };
}
