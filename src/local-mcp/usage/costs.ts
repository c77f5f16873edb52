import { modelFamily } from "../../contract/metrics.ts";
import { isWithin } from "../../shared/elapsed.ts";
import type { Sql } from "../../shared/sql.ts";
import { usageCosts, usageTelemetry, usageTotals } from "../../store/usage-tables.ts";
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
  const last = usageTotals.find(sql, { session: session.id });
  const isLate = last !== null && last.process === process && total <= last.costMicros;
  if (isLate) return 0;
  usageTotals.put(sql, { session: session.id, costMicros: total, process, at: now });
  const base = last?.costMicros ?? (session.origin === "startup" ? 0 : total);
  return total < base ? null : total - base;
}

const settleIntervalMs = 60_000;
/** A chat may be idle for long; then its next request is reported again. */
const telemetryTrustMs = 3_600_000;

/** @returns what of the status line's totals is to be counted now */
function withoutTelemetry(sql: Sql, sessionId: string, increase: number | null, now: number): number {
  const telemetry = usageTelemetry.find(sql, { session: sessionId });
  if (!telemetry) return increase ?? 0;
  const { aheadMicros: ahead, at, settledAt } = telemetry;
  // No total of a client that started over contains what telemetry was ahead of the earlier ones.
  const left = increase === null ? Math.min(0, ahead) : ahead - increase;
  const isReported = isWithin(now - at, telemetryTrustMs) && isWithin(now - settledAt, settleIntervalMs);
  const micros = isReported ? 0 : Math.max(0, -left);
  if (increase === 0 && micros === 0) return 0;
  const change = { aheadMicros: left + micros, settledAt: isReported ? settledAt : now };
  usageTelemetry.update(sql, { session: sessionId }, change);
  return micros;
}

/** [OB23] Totals that were counted contain each earlier request. */
export function countRequestCost(sql: Sql, session: Session, cost: Cost, now: number): void {
  const key = { session: session.id };
  const settledAt = usageTelemetry.find(sql, key)?.settledAt ?? usageTotals.find(sql, key)?.at ?? 0;
  const isCounted = cost.at <= settledAt;
  usageTelemetry.insert(
    sql,
    { ...key, aheadMicros: isCounted ? 0 : cost.micros, settledAt, at: now },
    "ON CONFLICT (session) DO UPDATE SET aheadMicros = aheadMicros + excluded.aheadMicros, at = excluded.at",
  );
  if (!isCounted) addCost(sql, session, cost);
}

function processOf({ owner }: Session): string {
  return owner ? `${owner.boot} ${owner.pid} ${owner.start}` : "";
}

function addCost(sql: Sql, session: Session, { micros, model, at, task }: Cost): void {
  const { id, project } = session;
  const share = { session: id, day: dayOf(at), model, task: task?.task ?? 0, claim: task?.claim ?? 0 };
  usageCosts.insert(
    sql,
    { ...share, project, costMicros: micros, at },
    `ON CONFLICT (session, day, model, task, claim) DO UPDATE SET costMicros = costMicros + excluded.costMicros,
       at = excluded.at`,
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
