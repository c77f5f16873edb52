import { modelFamily } from "../../contract/metrics.ts";
import { isWithin } from "../../shared/elapsed.ts";
import type { Sql } from "../../shared/sql.ts";
import * as totals from "../../store/metric-totals.ts";
import type { Session } from "../sessions/sessions.ts";
import { canonicalModel } from "../../shared/model-name.ts";
import * as spending from "./task-spending.ts";

/** Costs by the client's own account. Each function is part of the caller's transaction. */

export interface Cost {
  readonly micros: number;
  readonly model: string;
  readonly at: number;
  readonly task: spending.TaskSpending | null;
}

/**
 * [SI41] The client reports a running total: only what exceeds the last one is new. A smaller total
 * of another client process starts over; cost from before SHIM knew the session is not counted.
 * [OB23] While telemetry reports each request, the rest of the total is counted once a minute.
 */
export function countCost(sql: Sql, session: Session, costUsd: number, model: string | null, now: number): void {
  const increase = recordTotal(sql, session, Math.round(costUsd * 1_000_000), now);
  const micros = withoutTelemetry(sql, session.id, increase, now);
  if (micros > 0)
    addCost(sql, session, { micros, model: modelOf(model), at: now, task: spending.get(sql, session.id) });
}

/** @returns the rise of the total, 0 for a late one; null: the client has started over */
function recordTotal(sql: Sql, session: Session, total: number, now: number): number | null {
  const process = processOf(session);
  const last = findTotal(sql, session.id);
  const isLate = last !== undefined && last.process === process && total <= last.total;
  if (isLate) return 0;
  sql.run(
    `INSERT INTO usage_totals (session_id, cost_micros, process, at) VALUES (?, ?, ?, ?)
     ON CONFLICT (session_id) DO UPDATE SET cost_micros = excluded.cost_micros, process = excluded.process, at = excluded.at`,
    session.id,
    total,
    process,
    now,
  );
  const base = last?.total ?? (session.origin === "startup" ? 0 : total);
  return total < base ? null : total - base;
}

const settleIntervalMs = 60_000;
/** A chat may be idle for long; then its next request is reported again. */
const telemetryTrustMs = 3_600_000;

/** @returns what of the status line's totals is to be counted now */
function withoutTelemetry(sql: Sql, sessionId: string, increase: number | null, now: number): number {
  const telemetry = findTelemetry(sql, sessionId);
  if (!telemetry) return increase ?? 0;
  const { ahead, at, settledAt } = telemetry;
  // No total of a client that started over contains what telemetry was ahead of the earlier ones.
  const left = increase === null ? Math.min(0, ahead) : ahead - increase;
  const isReported = isWithin(now - at, telemetryTrustMs) && isWithin(now - settledAt, settleIntervalMs);
  const micros = isReported ? 0 : Math.max(0, -left);
  if (increase === 0 && micros === 0) return 0;
  sql.run(
    "UPDATE usage_telemetry SET ahead_micros = ?, settled_at = ? WHERE session_id = ?",
    left + micros,
    isReported ? settledAt : now,
    sessionId,
  );
  return micros;
}

/** [OB23] Totals that were counted contain each earlier request. */
export function countRequestCost(sql: Sql, session: Session, cost: Cost, now: number): void {
  const settledAt = findTelemetry(sql, session.id)?.settledAt ?? findTotal(sql, session.id)?.at ?? 0;
  const isCounted = cost.at <= settledAt;
  sql.run(
    `INSERT INTO usage_telemetry (session_id, ahead_micros, settled_at, at) VALUES (?, ?, ?, ?)
     ON CONFLICT (session_id) DO UPDATE SET ahead_micros = ahead_micros + excluded.ahead_micros, at = excluded.at`,
    session.id,
    isCounted ? 0 : cost.micros,
    settledAt,
    now,
  );
  if (!isCounted) addCost(sql, session, cost);
}

function processOf({ owner }: Session): string {
  return owner ? `${owner.boot} ${owner.pid} ${owner.start}` : "";
}

interface Total {
  readonly total: number;
  readonly process: string;
  readonly at: number;
}

function findTotal(sql: Sql, sessionId: string): Total | undefined {
  const query = "SELECT cost_micros AS total, process, at FROM usage_totals WHERE session_id = ?";
  return sql.all<Total>(query, sessionId)[0];
}

interface TelemetryCost {
  /** Cost by telemetry less that by totals since they were settled; below 0: not counted yet. */
  readonly ahead: number;
  /** When the totals were counted. */
  readonly settledAt: number;
  readonly at: number;
}

function findTelemetry(sql: Sql, sessionId: string): TelemetryCost | undefined {
  const query = "SELECT ahead_micros AS ahead, settled_at AS settledAt, at FROM usage_telemetry WHERE session_id = ?";
  return sql.all<TelemetryCost>(query, sessionId)[0];
}

function addCost(sql: Sql, session: Session, { micros, model, at, task }: Cost): void {
  sql.run(
    `INSERT INTO usage_costs (session_id, day, model, task, claim, project, cost_micros, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (session_id, day, model, task, claim) DO UPDATE SET cost_micros = cost_micros + excluded.cost_micros, at = excluded.at`,
    session.id,
    dayOf(at),
    model,
    task?.task ?? 0,
    task?.claim ?? 0,
    session.project,
    micros,
    at,
  );
  totals.add(sql, "shim_cost_dollars_total", { value: micros / 1e6, labels: [modelFamily(model)] });
  if (task) spending.add(sql, session.id, 0, micros);
}

/** UTC, as budgets count days. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

export function modelOf(model: string | null): string {
  return model === null ? "unknown" : canonicalModel(model);
}
