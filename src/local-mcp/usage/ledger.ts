import type { Config, ModelPrices } from "../../contract/config.ts";
import { modelFamily } from "../../contract/metrics.ts";
import type { Sql } from "../../shared/sql.ts";
import * as totals from "../../store/metric-totals.ts";
import { idOf } from "../sessions/entries.ts";
import type { Session } from "../sessions/sessions.ts";
import { canonicalModel } from "../signals/context-window.ts";
import type { Usage } from "../signals/transcript-lines.ts";
import * as spending from "./task-spending.ts";

/** Each function is part of the caller's transaction. */

export interface ReportedUsage {
  readonly usage: readonly Usage[];
  readonly subagentUsage: readonly Usage[];
}

export type Prices = Config["usage"]["prices"];

/** [SI46] Adds only the difference of a later line of the same response. */
export function countResponses(
  sql: Sql,
  session: Session,
  reported: ReportedUsage,
  now: number,
  prices: Prices = {},
): void {
  for (const usage of reported.usage) countResponse(sql, session, usage, { now, prices, isSubagent: false });
  for (const usage of reported.subagentUsage) countResponse(sql, session, usage, { now, prices, isSubagent: true });
}

interface CountContext {
  readonly now: number;
  readonly prices: Prices;
  readonly isSubagent: boolean;
}

interface TokenCounts {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

const zeroCounts: TokenCounts = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };

function countResponse(sql: Sql, session: Session, usage: Usage, { now, prices, isSubagent }: CountContext): void {
  const key = `${idOf(usage.messageId)}:${usage.requestId === null ? "" : idOf(usage.requestId)}`;
  const before = readCounts(sql, key);
  const after = larger(before ?? zeroCounts, usage);
  const increase = difference(after, before ?? zeroCounts);
  if (before && sum(increase) === 0) return;
  const at = Math.min(now, usage.at ?? now);
  const model = modelOf(usage.model);
  const task = taskAt(sql, session.id, at);
  insertResponse(sql, session, { key, at, model, task, isSubagent, counts: after });
  countTokens(sql, model, increase);
  if (task) spending.add(sql, session.id, sum(increase), estimateOf(sql, session.id, prices[model], increase));
}

function countTokens(sql: Sql, model: string, { input, output, cacheRead, cacheWrite }: TokenCounts): void {
  const kinds = { input, output, cache_read: cacheRead, cache_write: cacheWrite };
  for (const [kind, value] of Object.entries(kinds))
    totals.add(sql, "shim_tokens_total", { value, labels: [modelFamily(model), kind] });
}

function estimateOf(sql: Sql, sessionId: string, price: ModelPrices | undefined, counts: TokenCounts): number {
  const hasClientCost = sql.all("SELECT 1 FROM usage_totals WHERE session_id = ?", sessionId).length > 0;
  return hasClientCost ? 0 : (priceOf(price, counts) ?? 0);
}

function modelOf(model: string | null): string {
  return model === null ? "unknown" : canonicalModel(model);
}

function taskAt(sql: Sql, sessionId: string, at: number): spending.TaskSpending | null {
  const current = spending.get(sql, sessionId);
  return current && current.startedAt <= at ? current : null;
}

interface Response {
  readonly key: string;
  readonly at: number;
  readonly model: string;
  readonly task: spending.TaskSpending | null;
  readonly isSubagent: boolean;
  readonly counts: TokenCounts;
}

function insertResponse(
  sql: Sql,
  { id, project }: Session,
  { key, at, model, task, isSubagent, counts }: Response,
): void {
  sql.run(
    `INSERT INTO usage_messages (key, session_id, at, day, project, model, task, claim, is_subagent, input, output, cache_read, cache_write)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET input = excluded.input, output = excluded.output,
       cache_read = excluded.cache_read, cache_write = excluded.cache_write`,
    key,
    id,
    at,
    dayOf(at),
    project,
    model,
    task?.task ?? null,
    task?.claim ?? null,
    isSubagent ? 1 : 0,
    counts.input,
    counts.output,
    counts.cacheRead,
    counts.cacheWrite,
  );
}

function readCounts(sql: Sql, key: string): TokenCounts | null {
  const query =
    "SELECT input, output, cache_read AS cacheRead, cache_write AS cacheWrite FROM usage_messages WHERE key = ?";
  return sql.all<TokenCounts>(query, key)[0] ?? null;
}

function larger(counts: TokenCounts, usage: Usage): TokenCounts {
  return {
    input: Math.max(counts.input, Math.round(usage.inputTokens)),
    output: Math.max(counts.output, Math.round(usage.outputTokens)),
    cacheRead: Math.max(counts.cacheRead, Math.round(usage.cacheReadTokens)),
    cacheWrite: Math.max(counts.cacheWrite, Math.round(usage.cacheCreationTokens)),
  };
}

function difference(a: TokenCounts, b: TokenCounts): TokenCounts {
  return {
    input: a.input - b.input,
    output: a.output - b.output,
    cacheRead: a.cacheRead - b.cacheRead,
    cacheWrite: a.cacheWrite - b.cacheWrite,
  };
}

function sum({ input, output, cacheRead, cacheWrite }: TokenCounts): number {
  return input + output + cacheRead + cacheWrite;
}

/** Millionths of a dollar: dollars per million tokens equal that per token. Null: no price. */
export function priceOf(price: ModelPrices | undefined, counts: TokenCounts): number | null {
  if (!price) return null;
  const { input, output, cacheRead, cacheWrite } = counts;
  return input * price.input + output * price.output + cacheRead * price.cacheRead + cacheWrite * price.cacheWrite;
}

/** UTC, as budgets count days. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/**
 * [SI41] The client reports a running total: only what exceeds the last one is new. A smaller total
 * of another client process starts over; cost from before SHIM knew the session is not counted.
 */
export function countCost(sql: Sql, session: Session, costUsd: number, model: string | null, now: number): void {
  const total = Math.round(costUsd * 1_000_000);
  const process = session.owner ? `${session.owner.boot} ${session.owner.pid} ${session.owner.start}` : "";
  const [last] = sql.all<{ total: number; process: string }>(
    "SELECT cost_micros AS total, process FROM usage_totals WHERE session_id = ?",
    session.id,
  );
  const isLate = last !== undefined && last.process === process && total <= last.total;
  if (isLate) return;
  sql.run(
    `INSERT INTO usage_totals (session_id, cost_micros, process, at) VALUES (?, ?, ?, ?)
     ON CONFLICT (session_id) DO UPDATE SET cost_micros = excluded.cost_micros, process = excluded.process, at = excluded.at`,
    session.id,
    total,
    process,
    now,
  );
  const base = last?.total ?? (session.origin === "startup" ? 0 : total);
  if (total > base) addCost(sql, session, total - base, model, now);
}

function addCost(sql: Sql, session: Session, micros: number, model: string | null, now: number): void {
  const current = spending.get(sql, session.id);
  sql.run(
    `INSERT INTO usage_costs (session_id, day, model, task, claim, project, cost_micros, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (session_id, day, model, task, claim) DO UPDATE SET cost_micros = cost_micros + excluded.cost_micros, at = excluded.at`,
    session.id,
    dayOf(now),
    modelOf(model),
    current?.task ?? 0,
    current?.claim ?? 0,
    session.project,
    micros,
    now,
  );
  totals.add(sql, "shim_cost_dollars_total", { value: micros / 1e6, labels: [modelFamily(modelOf(model))] });
  if (current) spending.add(sql, session.id, 0, micros);
}
