import type { OutputOf } from "../../contract/operations.ts";
import type { TaskStats, TypeStats } from "../../contract/task-views.ts";
import type { TaskRow } from "./task-rows.ts";
import { compare } from "../../shared/compare.ts";
import type { Tx } from "../kernel/tx.ts";

const maxScannedRows = 10_000;
const maxTypes = 1_000;
const hourMs = 3_600_000;

type StatsRow = Pick<TaskRow, "type" | "state" | "queued_at" | "assigned_at" | "started_at" | "ended_at">;

export function stats(tx: Tx, { type }: TaskStats): OutputOf<"tasks.stats"> {
  const rows = tx.sql.all<StatsRow>(
    "SELECT type, state, queued_at, assigned_at, started_at, ended_at FROM tasks ORDER BY task DESC LIMIT ?",
    maxScannedRows,
  );
  const matching = rows.filter((row) => type === undefined || row.type === type);
  const byType = [...Map.groupBy(matching, (row) => row.type)].toSorted(([, a], [, b]) => b.length - a.length);
  const topTypes = byType.slice(0, maxTypes).map(([name, of]) => toTypeStats(tx, name, of));
  return {
    types: topTypes.toSorted((a, b) => compare(a.type, b.type)),
    isAll: rows.length < maxScannedRows && byType.length <= maxTypes,
  };
}

function toTypeStats({ now }: Tx, type: string, rows: readonly StatsRow[]): TypeStats {
  const inState = (...states: TaskRow["state"][]): StatsRow[] => rows.filter(({ state }) => states.includes(state));
  const done = inState("done");
  const queued = inState("queued");
  return {
    type,
    queued: queued.length,
    running: inState("assigned", "running").length,
    done: done.length,
    dead: inState("dead").length,
    oldestQueuedMs: queued.length === 0 ? null : Math.max(...queued.map((row) => now - (row.queued_at ?? now))),
    doneLastHour: done.filter((row) => (row.ended_at ?? 0) > now - hourMs).length,
    wait: percentiles(rows.flatMap((row) => durationBetween(row.queued_at, row.assigned_at))),
    run: percentiles(done.flatMap((row) => durationBetween(row.started_at, row.ended_at))),
  };
}

function durationBetween(from: number | null, to: number | null): number[] {
  return from === null || to === null ? [] : [Math.max(0, to - from)];
}

function percentiles(times: readonly number[]): TypeStats["wait"] {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  return sorted.length === 0 ? null : { p50Ms: at(0.5), p95Ms: at(0.95) };
}
