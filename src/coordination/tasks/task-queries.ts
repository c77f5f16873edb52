import type { Budget } from "../../contract/budgets.ts";
import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import type { Attempt, TaskLine, TypeStats } from "../../contract/task-views.ts";
import type { Progress } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import { compare } from "../../shared/compare.ts";
import { err, ok } from "../../shared/result.ts";
import { hasFields, page, type Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import * as attemptRows from "./attempt-rows.ts";
import * as budgets from "./budgets.ts";
import { capabilitiesIn } from "./lanes.ts";
import * as attemptModels from "./routes.ts";
import * as rows from "./task-rows.ts";
import { remainingMs, type TaskRow, readPayload } from "./task-rows.ts";

function parseJson(text: string | null | undefined): Json {
  return JSON.parse(text ?? "null") as Json;
}

function toTaskLine({ now }: Tx, row: TaskRow, about: string | null): TaskLine {
  return {
    task: row.task,
    ref: row.ref,
    type: row.type,
    about,
    state: row.state,
    reason: row.reason,
    detail: row.detail,
    priority: row.priority,
    parent: row.parent,
    tags: JSON.parse(row.tags) as string[],
    capabilities: capabilitiesIn(row.lane),
    chat: row.chat,
    failures: row.failures,
    maxAttempts: row.maxAttempts,
    isCancelAsked: row.cancelReason !== null,
    progress: rows.progressOf(row),
    ageMs: Math.max(0, now - row.at),
    dueInMs: row.dueAt === null ? null : Math.max(0, row.dueAt - now),
  };
}

export const handlers = {
  "tasks.get"(tx, { task }) {
    const [row] = tx.sql.all<TaskRow>(`SELECT ${rows.columns} FROM tasks WHERE task = ?`, task);
    if (!row) return err(rows.unknownTask(task));
    const result = row.state === "done" ? attemptRows.readResult(tx, row, Number.MAX_SAFE_INTEGER).text : null;
    return ok({
      ...toTaskLine(tx, row, rows.aboutTasks(tx, [task]).get(task) ?? null),
      payload: readPayload(tx, task),
      result: parseJson(result),
      checkpoint: parseJson(row.checkpoint),
      affinity: row.affinity,
      dependsOn: rows.dependenciesOf(tx, task),
      stalls: row.stalls,
      lostChats: row.lostChats,
      joinRule: row.joinRule,
      budget: row.budget === null ? null : (JSON.parse(row.budget) as Budget),
      used: budgets.usedBy(tx, task),
      running: row.state === "running" ? toRunning(tx, row) : null,
    });
  },

  /** Sorted by number; the cursor is the last task examined. */
  "tasks.list"(tx, { limit, cursor, ...filter }) {
    const scanned = scanRows(tx, filter, Number(cursor ?? 0));
    const fitting = scanned.filter((row) => matches(row, filter));
    const listed = page(
      fitting,
      limit,
      ({ progress, tags, lane }) => (progress?.length ?? 0) + tags.length + lane.length,
    );
    const isMore = listed.length < fitting.length;
    const last = isMore ? listed.at(-1) : scanned.at(-1);
    const about = rows.aboutTasks(
      tx,
      listed.map(({ task }) => task),
    );
    const tasks = listed.map((row) => toTaskLine(tx, row, about.get(row.task) ?? null));
    return ok({ tasks, cursor: isMore || scanned.length === maxScannedRows ? String(last?.task) : null });
  },

  /** Without a task the open ones, the lowest numbers first. */
  "tasks.tree"(tx, { task, limit }) {
    const first = task === undefined ? openRows(tx, limit + 1) : [rows.find(tx, task)].flatMap((row) => row ?? []);
    if (task !== undefined && first.length === 0) return err(rows.unknownTask(task));
    const nodes = new Map(first.map((row) => [row.task, toNode(tx, row)]));
    for (const { task: above, dependsOn } of nodes.values()) {
      if (nodes.size > limit) break;
      for (const row of [
        ...rows.partsOf(tx, above, limit + 1),
        ...dependsOn.flatMap((one) => rows.find(tx, one) ?? []),
      ])
        if (!nodes.has(row.task)) nodes.set(row.task, toNode(tx, row));
    }
    const tasks = [...nodes.values()].slice(0, limit);
    return ok({ roots: task === undefined ? rootsOf(tasks) : [task], tasks, isMore: nodes.size > limit });
  },

  /** The cursor is the last claim returned. */
  "tasks.history"(tx, { task, limit, cursor }) {
    const found = rows.requireTask(tx, task);
    if (!found.ok) return found;
    const left = attemptRows.sizes(tx, task, Number(cursor ?? Number.MAX_SAFE_INTEGER), limit + 1);
    const listed = page(left, limit, ({ bytes }) => bytes);
    const attempts = listed.flatMap(({ claim }) => {
      const row = attemptRows.find(tx, task, claim);
      return row ? [toAttempt(tx, row, attemptModels.find(tx, found.value.type, task, claim))] : [];
    });
    return ok({ attempts, cursor: listed.length < left.length ? String(listed.at(-1)?.claim) : null });
  },

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

type TreeNode = OutputOf<"tasks.tree">["tasks"][number];

function toNode(tx: Tx, { task, parent, ref, type, state }: TaskRow): TreeNode {
  return { task, parent, ref, type, state, dependsOn: rows.dependenciesOf(tx, task) };
}

/** Ended tasks have no index, and the object does nothing else meanwhile. */
const maxExamined = 100_000;

function openRows({ sql }: Tx, limit: number): TaskRow[] {
  const newest = `SELECT ${rows.columns} FROM tasks ORDER BY task DESC LIMIT ?`;
  const isOpen = "state NOT IN ('done', 'dead', 'cancelled')";
  return sql.all<TaskRow>(`SELECT * FROM (${newest}) WHERE ${isOpen} ORDER BY task LIMIT ?`, maxExamined, limit);
}

/** The open tasks below no other, and the lowest of a circle: a parent may wait for its part. */
function rootsOf(tasks: readonly TreeNode[]): number[] {
  const below = new Map<number, number[]>(tasks.map(({ task, dependsOn }) => [task, [...dependsOn]]));
  for (const { task, parent } of tasks) if (parent !== null) below.get(parent)?.push(task);
  const inner = new Set([...below.values()].flat());
  const open = tasks.filter((one) => !rows.isEnded(one)).map(({ task }) => task);
  const reached = new Set<number>();
  const isNew = (root: number): boolean => {
    if (reached.has(root)) return false;
    // A set walks also over what is added meanwhile.
    const all = new Set([root]);
    for (const one of all) for (const next of below.get(one) ?? []) all.add(next);
    for (const one of all) reached.add(one);
    return true;
  };
  return [...open.filter((one) => !inner.has(one)), ...open].filter(isNew);
}

function toRunning(tx: Tx, row: TaskRow): OutputOf<"tasks.get">["running"] {
  const since = (at: number | null): number => Math.max(0, tx.now - (at ?? tx.now));
  return {
    startedAgeMs: since(row.startedAt),
    heardAgeMs: since(row.seenAt),
    remainingMs: remainingMs(tx, row),
    silenceLeftMs: Math.max(0, row.heartbeatMs - since(row.seenAt)),
  };
}

const maxScannedRows = 1_000;

type TaskFilter = Omit<CheckedInputOf<"tasks.list">, "limit" | "cursor">;

function scanRows({ sql }: Tx, { chat, parent, state }: TaskFilter, after: number): TaskRow[] {
  const tail = "task > ? ORDER BY task LIMIT ?";
  const read = (where: string, ...values: (string | number)[]): TaskRow[] =>
    sql.all<TaskRow>(`SELECT ${rows.columns} FROM tasks ${where} ${tail}`, ...values, after, maxScannedRows);
  if (chat !== undefined) return read("WHERE chat = ? AND", chat);
  if (parent !== undefined) return read("WHERE parent = ? AND", parent);
  if (state === "dead") return read("WHERE state = 'dead' AND");
  // Exactly these states have a chat; the planner would rather read all tasks in their order.
  const isHeld = state === "assigned" || state === "running";
  return read(isHeld ? "INDEXED BY tasks_chat WHERE chat IS NOT NULL AND" : "WHERE");
}

function matches(row: TaskRow, { tag, ...same }: TaskFilter): boolean {
  return hasFields(row, same) && (tag === undefined || (JSON.parse(row.tags) as string[]).includes(tag));
}

function toAttempt({ now }: Tx, row: Omit<attemptRows.AttemptRow, "result">, model: Attempt["model"] | null): Attempt {
  return {
    claim: row.claim,
    attempt: row.attempt,
    chat: row.chat === attemptRows.coordinatorChat ? null : row.chat,
    incarnation: row.incarnation,
    end: row.ended,
    reason: row.reason,
    state: row.became,
    waitedMs: Math.max(0, row.assignedAt - row.queuedAt),
    ranMs: row.startedAt === null ? null : Math.max(0, row.endedAt - row.startedAt),
    endedAgeMs: Math.max(0, now - row.endedAt),
    progress: parseJson(row.progress) as Progress | null,
    checkpoint: parseJson(row.checkpoint),
    lateCalls: row.lateCalls,
    ...(model ? { model } : {}),
  };
}

const hourMs = 3_600_000;
/** Counted one by one: done tasks have no index, and the object does nothing else meanwhile. */
const maxCounted = 100_000;
/** Bound of the tasks read for statistics by type, and for what was done lately. */
const maxSampled = 10_000;
const maxTypes = 1_000;

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

/** Percentiles over the newest tasks, of all types. */
export function recentDurations({ sql }: Pick<Tx, "sql">): Pick<TypeStats, "wait" | "run"> {
  const [row] = sql.all<Pick<StatsRow, "waits" | "runs">>(recentSql, maxSampled);
  return { wait: percentiles(row?.waits ?? "[]"), run: percentiles(row?.runs ?? "[]") };
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
