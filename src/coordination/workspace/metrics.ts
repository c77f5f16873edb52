import { measures } from "../../contract/budgets.ts";
import { metrics, type Labels, type MetricName, type Sample } from "../../contract/metrics.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { TypeStats } from "../../contract/task-views.ts";
import { schemaState } from "../../shared/migrate.ts";
import { ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as audit from "../kernel/audit.ts";
import * as changes from "../kernel/changes.ts";
import type { Handlers } from "../kernel/handlers.ts";
import * as meta from "../kernel/meta.ts";
import * as totals from "../kernel/metric-totals.ts";
import type { Tx } from "../kernel/tx.ts";
import * as leaseRows from "../leases/lease-rows.ts";
import * as inboxes from "../messages/inboxes.ts";
import * as budgets from "../tasks/budgets.ts";
import { readNumbers } from "../tasks/task-retention.ts";
import { recentDurations } from "../tasks/task-queries.ts";

/**
 * Metrics of a workspace, computed from rows: nothing is counted in memory. Reads indexes
 * where they are short, and no table twice.
 */
export const handlers = {
  metrics(tx) {
    const tasks = taskSamples(tx);
    return ok({ samples: [...teamSamples(tx), ...tasks, ...costSamples(tx), ...storedSamples(tx)] });
  },
} satisfies Partial<Handlers>;

/** Samples that only the host of the engine knows: connections, its alarm, its storage. */
export function hostSamples({
  alarmInMs,
  outboxDepth,
  overdueRows,
  sockets,
  boxes,
  storage,
}: OutputOf<"health">): Sample[] {
  return [
    sample("shim_boxes", boxes.count),
    sample("shim_box_bytes", boxes.chars),
    sample("shim_sockets", sockets),
    sample("shim_outbox_tokens", outboxDepth),
    sample("shim_alarm_late_seconds", Math.max(0, -(alarmInMs ?? 0)) / 1_000),
    sample("shim_overdue_rows", overdueRows),
    ...(storage === null
      ? []
      : [
          sample("shim_storage_bytes", storage.bytes),
          sample("shim_storage_used_ratio", storage.bytes / storage.limitBytes),
        ]),
  ];
}

function sample(name: MetricName, value: number, labels: Labels = {}): Sample {
  return { name, labels, value };
}

function count(sql: Sql, query: string, ...values: number[]): number {
  return sql.all<{ n: number | null }>(`SELECT ${query} AS n`, ...values)[0]?.n ?? 0;
}

function teamSamples(tx: Tx): Sample[] {
  const { sql, settings } = tx;
  const { kinds, leaderChanges } = audit.readTotals(sql);
  const byStatus = sql.all<{ status: string; n: number }>("SELECT status, count(*) AS n FROM chats GROUP BY status");
  return [
    sample("shim_chats", 0, { status: "offline" }),
    ...byStatus.map(({ status, n }) => sample("shim_chats", n, { status })),
    sample("shim_chat_slots", settings.maxConcurrentChats),
    sample("shim_leases", leaseRows.countLive(tx)),
    sample("shim_lease_waiters", count(sql, "(SELECT count(*) FROM waiters)")),
    sample("shim_messages_total", totals.get(sql, "shim_messages_total") + messagesOfEpoch(tx)),
    sample("shim_messages", count(sql, "(SELECT count(*) FROM messages)")),
    sample("shim_state_keys", changes.readTotals(sql).keys),
    sample("shim_leader_changes_total", leaderChanges),
    sample("shim_workspace_events_total", 0, { kind: "chat.offline" }),
    ...[...kinds].map(([kind, n]) => sample("shim_workspace_events_total", n, { kind })),
  ];
}

/** Numbers count from the epoch's first; the totals hold those of earlier epochs. */
function messagesOfEpoch(tx: Tx): number {
  return Math.max(0, inboxes.newestId(tx.sql) - meta.numberFloor(tx));
}

/** Before the epoch is raised: the numbers of the next one start again. */
export function keepNumbers(tx: Tx): void {
  totals.add(tx, "shim_messages_total", "", messagesOfEpoch(tx));
  totals.add(tx, "shim_tasks_submitted_total", "", readNumbers(tx).newest - meta.numberFloor(tx));
}

const queuedTasks = `SELECT queued, (SELECT queuedAt FROM tasks WHERE task = oldest) AS oldestAt
  FROM (SELECT count(*) AS queued, min(task) AS oldest FROM tasks INDEXED BY tasks_queued WHERE state = 'queued')`;

const otherStates = ["blocked", "scheduled", "assigned", "running", "dead"] as const;
const deathReasons = metrics.shim_dead_tasks.labels.reason;

/** Columns instead of GROUP BY, which sorts all rows. */
function counts(column: string, values: readonly string[]): string {
  return values.map((value) => `count(*) FILTER (WHERE ${column} = '${value}') AS ${value}`).join(", ");
}

/** Indexes that together have every task that is neither queued nor ended, and the dead ones. */
const indexed = [
  "tasks INDEXED BY tasks_chat WHERE chat IS NOT NULL",
  "tasks INDEXED BY tasks_due WHERE state IN ('scheduled', 'queued') AND dueAt IS NOT NULL",
  "tasks INDEXED BY tasks_dead WHERE state = 'dead'",
  "task_dependents",
];
const entries = indexed.map((rows) => `SELECT 1 FROM ${rows}`).join(" UNION ALL ");
const isFewerThan = `SELECT NOT EXISTS (SELECT 1 FROM (${entries}) LIMIT 1 OFFSET ?) AS isFewer`;
// CROSS JOIN: SQLite keeps this order of the tables.
const indexedTasks = `(${indexed.map((rows) => `SELECT task FROM ${rows}`).join(" UNION ")}) CROSS JOIN tasks USING (task)`;

const deadTasks = `SELECT ${counts("reason", deathReasons)} FROM tasks INDEXED BY tasks_dead WHERE state = 'dead'`;

type Counts<Name extends string> = Readonly<Record<Name, number>>;

/** Each entry of an index is read in the table: beyond a quarter of it a walk costs less. */
function readOthers(sql: Sql): Partial<Counts<"stored" | (typeof otherStates)[number]>> {
  const stored = count(sql, "(SELECT count(*) FROM tasks)");
  const [found] = sql.all<{ isFewer: number }>(isFewerThan, Math.floor(stored / 4));
  const from = found?.isFewer === 1 ? indexedTasks : "tasks";
  const [others] = sql.all<Counts<(typeof otherStates)[number]>>(`SELECT ${counts("state", otherStates)} FROM ${from}`);
  return { stored, ...others };
}

function taskSamples(tx: Tx): Sample[] {
  const { sql, now } = tx;
  const [{ queued, oldestAt } = { queued: 0, oldestAt: null }] = sql.all<{ queued: number; oldestAt: number | null }>(
    queuedTasks,
  );
  const { stored = 0, dead = 0, ...others } = readOthers(sql);
  const openStates = { queued, ...others };
  const open = Object.values(openStates).reduce((sum, n) => sum + n, 0);
  const [reasons = {}] = sql.all<Record<string, number>>(deadTasks);
  const { submitted } = readNumbers(tx);
  const ends = (outcome: string): number => totals.get(sql, "shim_task_ends_total", outcome);
  const deadEver = ends("dead");
  const replayed = totals.get(sql, "shim_task_replays_total");
  const durations = recentDurations(tx);
  return [
    ...Object.entries({ ...openStates, dead, ended: stored - open - dead }).map(([state, n]) =>
      sample("shim_tasks", n, { state }),
    ),
    sample("shim_task_oldest_queued_seconds", oldestAt === null ? 0 : Math.max(0, now - oldestAt) / 1_000),
    ...percentileSamples("shim_task_wait_seconds", durations.wait),
    ...percentileSamples("shim_task_run_seconds", durations.run),
    sample("shim_tasks_submitted_total", submitted),
    // A task that is neither open nor dead nor cancelled was done: the usual end costs no row.
    sample("shim_task_ends_total", Math.max(0, submitted - open - ends("cancelled") - (deadEver - replayed)), {
      outcome: "done",
    }),
    sample("shim_task_ends_total", deadEver, { outcome: "dead" }),
    sample("shim_task_ends_total", ends("cancelled"), { outcome: "cancelled" }),
    sample("shim_task_replays_total", replayed),
    sample("shim_task_attempts_total", 0, { end: "failed" }),
    ...totals
      .list(sql, "shim_task_attempts_total")
      .map(({ label, value }) => sample("shim_task_attempts_total", value, { end: label })),
    ...(["shim_routed_attempts_total", "shim_routed_cost_dollars_total"] as const).flatMap((name) =>
      totals.list(sql, name).map(({ label, value }) => sample(name, value, { model: label })),
    ),
    ...Object.entries(reasons).map(([reason, n]) => sample("shim_dead_tasks", n, { reason })),
  ];
}

function percentileSamples(name: MetricName, found: TypeStats["wait"]): Sample[] {
  if (found === null) return [];
  return [
    sample(name, found.p50Ms / 1_000, { percentile: "50" }),
    sample(name, found.p95Ms / 1_000, { percentile: "95" }),
  ];
}

function costSamples(tx: Tx): Sample[] {
  const { ever, today, limits } = budgets.readSpending(tx);
  return [
    sample("shim_task_tokens_total", ever.tokens),
    sample("shim_task_cost_dollars_total", ever.dollars),
    ...measures.flatMap((limit) => {
      const budget = limits[limit];
      return budget === undefined
        ? []
        : [sample("shim_day_budget_ratio", budget === 0 ? 1 : today[limit] / budget, { limit })];
    }),
  ];
}

function storedSamples({ sql }: Tx): Sample[] {
  return [
    sample("shim_synced_sessions", count(sql, "(SELECT count(*) FROM sync_sessions)")),
    sample("shim_synced_bytes", count(sql, "(SELECT chars FROM sync_totals)")),
    sample("shim_workspace_schema_version", schemaState(sql).version),
  ];
}

/** Rows written in a month, as the host counts them: what Cloudflare bills. */

export const writtenRowsKey = "written_rows";

interface Written {
  /** Year and month in UTC: "2026-11". */
  readonly month: string;
  readonly rows: number;
}

export function rowsWrittenInMonth({ sql, now }: Pick<Tx, "sql" | "now">): number {
  const stored = read(sql);
  return stored?.month === monthOf(now) ? stored.rows : 0;
}

export function addWrittenRows(tx: Pick<Tx, "sql" | "now">, rows: number): void {
  const written: Written = { month: monthOf(tx.now), rows: rowsWrittenInMonth(tx) + rows };
  meta.write(tx.sql, writtenRowsKey, JSON.stringify(written));
}

function read(sql: Sql): Written | null {
  return JSON.parse(meta.read(sql, writtenRowsKey) ?? "null") as Written | null;
}

function monthOf(at: number): string {
  return new Date(at).toISOString().slice(0, 7);
}
