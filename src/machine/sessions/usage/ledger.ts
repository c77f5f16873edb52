import { combine, noTokens, totalTokens, type TokenCounts } from "../../../clients/transcript/token-counts.ts";
import type { TranscriptContent, Usage } from "../../../clients/transcript/transcript-draft.ts";
import type { Config, ModelPrices } from "../../../contract/config.ts";
import type { Grouping, UsageLine } from "../../../contract/machine/usage.ts";
import { modelFamily } from "../../../contract/metrics.ts";
import { processKey } from "../../../coordinator-client/local/process-key.ts";
import { dayOf } from "../../../shared/format.ts";
import { canonicalModel } from "../../../shared/model-name.ts";
import type { Sql } from "../../../shared/sql.ts";
import { usageCosts, usageMessages, usageTotals } from "../../../store/machine-tables.ts";
import * as totals from "../../../store/metric-totals.ts";
import { idOf } from "../entries.ts";
import type { Session } from "../sessions.ts";
import * as spending from "./task-spending.ts";

/** Each function is part of the caller's transaction. */

export type Prices = Config["usage"]["prices"];

/** Adds only the difference of a later line of the same response. */
export function countResponses(
  sql: Sql,
  session: Session,
  reported: Pick<TranscriptContent, "usage" | "subagentUsage">,
  now: number,
  prices: Prices = {},
): void {
  const { usage, subagentUsage } = reported;
  if (usage.length + subagentUsage.length === 0) return;
  const current = spending.get(sql, session.id);
  for (const one of usage) countResponse(sql, session, one, { now, prices, current, isSubagent: false });
  for (const one of subagentUsage) countResponse(sql, session, one, { now, prices, current, isSubagent: true });
}

interface CountContext {
  readonly now: number;
  readonly prices: Prices;
  /** Task of the session. */
  readonly current: spending.TaskSpending | null;
  readonly isSubagent: boolean;
}

const tokenCounts = usageMessages.pick("input", "output", "cacheRead", "cacheWrite");

function countResponse(sql: Sql, session: Session, usage: Usage, context: CountContext): void {
  const { now, prices, current, isSubagent } = context;
  // A side chain repeats a message under another request, or none.
  const key = idOf(usage.messageId);
  const counted = tokenCounts.find(sql, { key });
  const before = counted ?? noTokens;
  const after = combine(before, usage, (counted, now) => Math.max(counted, Math.round(now)));
  const increase = combine(after, before, (one, other) => one - other);
  if (counted && totalTokens(increase) === 0) return;
  const at = Math.min(now, usage.at ?? now);
  // Some clients name the model elsewhere in their transcript.
  const model = modelOf(usage.model ?? session.model);
  const task = current && current.startedAt <= at ? current : null;
  insertResponse(sql, session, { key, at, model, task, isSubagent, counts: after });
  countTokens(sql, model, increase);
  if (task) spending.add(sql, session.id, totalTokens(increase), estimateOf(sql, session.id, prices[model], increase));
}

function countTokens(sql: Sql, model: string, { input, output, cacheRead, cacheWrite }: TokenCounts): void {
  const kinds = { input, output, cache_read: cacheRead, cache_write: cacheWrite };
  const increases = Object.entries(kinds).map(([kind, value]) => ({ value, labels: [modelFamily(model), kind] }));
  totals.addAll(sql, "shim_tokens_total", increases);
}

function estimateOf(sql: Sql, sessionId: string, price: ModelPrices | undefined, counts: TokenCounts): number {
  return usageTotals.has(sql, { session: sessionId }) ? 0 : (priceOf(price, counts) ?? 0);
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
  const { task: number, claim } = task ?? {};
  usageMessages.insert(
    sql,
    { key, session: id, at, day: dayOf(at), project, model, task: number, claim, isSubagent, ...counts },
    `ON CONFLICT (key) DO UPDATE SET input = excluded.input, output = excluded.output, cacheRead = excluded.cacheRead,
       cacheWrite = excluded.cacheWrite`,
  );
}

/** Millionths of a dollar: dollars per million tokens equal that per token. Null: no price. */
function priceOf(price: ModelPrices | undefined, counts: TokenCounts): number | null {
  if (!price) return null;
  const { input, output, cacheRead, cacheWrite } = counts;
  return input * price.input + output * price.output + cacheRead * price.cacheRead + cacheWrite * price.cacheWrite;
}

/**
 * The client reports a running total: only what exceeds the last one is new. A smaller total
 * of another client process starts over; cost from before SHIM knew the session is not counted.
 */
export function countCost(sql: Sql, session: Session, costUsd: number, model: string | null, now: number): void {
  const micros = recordTotal(sql, session, Math.round(costUsd * 1_000_000), now);
  if (micros > 0) addCost(sql, session, micros, modelOf(model), now);
}

/** @returns the rise of the total; 0 for a late one, and where the client has started over */
function recordTotal(sql: Sql, session: Session, total: number, now: number): number {
  const { owner } = session;
  const process = owner ? processKey(owner) : "";
  const last = usageTotals.find(sql, { session: session.id });
  const isLate = last !== null && last.process === process && total <= last.costMicros;
  if (isLate) return 0;
  usageTotals.put(sql, { session: session.id, costMicros: total, process, at: now });
  const base = last?.costMicros ?? (session.origin === "startup" ? 0 : total);
  return Math.max(0, total - base);
}

function addCost(sql: Sql, { id, project }: Session, micros: number, model: string, at: number): void {
  const task = spending.get(sql, id);
  const share = { session: id, day: dayOf(at), model, task: task?.task ?? 0, claim: task?.claim ?? 0 };
  usageCosts.insert(
    sql,
    { ...share, project, costMicros: micros, at },
    `ON CONFLICT (session, day, model, task, claim) DO UPDATE SET costMicros = costMicros + excluded.costMicros,
       at = excluded.at`,
  );
  totals.add(sql, "shim_cost_dollars_total", { value: micros / 1e6, labels: [modelFamily(model)] });
  if (task) spending.add(sql, id, 0, micros);
}

function modelOf(model: string | null): string {
  return model === null ? "unknown" : canonicalModel(model);
}

const dayMs = 86_400_000;

const columns: Readonly<Record<Grouping, string>> = {
  day: "day",
  session: "session",
  project: "project",
  model: "model",
  task: "nullif(task, 0)",
};

interface CountedRow extends TokenCounts {
  readonly key: string | number | null;
  readonly session: string;
  readonly model: string;
  readonly responses: number;
}

export interface UsageQuery {
  readonly by: Grouping;
  /** Epoch ms, from the start of its day (UTC); null: all that is kept. */
  readonly since: number | null;
  /** Absent: all. */
  readonly sessions?: readonly string[];
}

/** Most expensive first, days newest first. */
export function usageBy(sql: Sql, { by, since, sessions }: UsageQuery, { prices }: Config["usage"]): UsageLine[] {
  // Days begin at multiples of their length, and the index has times.
  const from = since === null ? 0 : since - (since % dayMs);
  const column = columns[by];
  const ofSessions = sessions ? "AND session IN (SELECT value FROM json_each(?))" : "";
  const given = sessions ? [from, JSON.stringify(sessions)] : [from];
  const counted = sql.all<CountedRow>(
    `SELECT ${column} AS key, session, model, count(*) AS responses, sum(input) AS input, sum(output) AS output,
       sum(cacheRead) AS cacheRead, sum(cacheWrite) AS cacheWrite
     FROM usage_messages WHERE at >= ? ${ofSessions} GROUP BY 1, 2, 3`,
    ...given,
  );
  const costs = sql.all<{ key: string | number | null; session: string; micros: number }>(
    `SELECT ${column} AS key, session, sum(costMicros) AS micros FROM usage_costs WHERE at >= ? ${ofSessions} GROUP BY 1, 2`,
    ...given,
  );
  const hasClientCost = new Set(
    sql.all<{ id: string }>("SELECT DISTINCT session AS id FROM usage_costs").map(({ id }) => id),
  );
  const lines = new Map<string, UsageLine>();
  for (const one of counted) {
    const estimate = hasClientCost.has(one.session) ? 0 : priceOf(prices[one.model], one);
    const cost = { estimatedCostUsd: (estimate ?? 0) / 1e6, unpricedTokens: estimate === null ? totalTokens(one) : 0 };
    mergeLine(lines, { ...emptyLine, ...one, ...cost, key: keyText(one.key) });
  }
  for (const { key, micros } of costs)
    mergeLine(lines, { ...emptyLine, key: keyText(key), clientCostUsd: micros / 1e6 });
  return [...lines.values()].sort((a, b) => {
    const byCost = by === "day" ? 0 : totalCost(b) - totalCost(a) || totalTokens(b) - totalTokens(a);
    return byCost || (b.key ?? "").localeCompare(a.key ?? "") * (by === "day" ? 1 : -1);
  });
}

export const emptyLine: UsageLine = {
  key: null,
  responses: 0,
  ...noTokens,
  clientCostUsd: 0,
  estimatedCostUsd: 0,
  unpricedTokens: 0,
};

function keyText(key: string | number | null): string | null {
  return key === null ? null : String(key);
}

function mergeLine(lines: Map<string, UsageLine>, line: UsageLine): void {
  const name = line.key ?? "";
  lines.set(name, sum(lines.get(name) ?? { ...emptyLine, key: line.key }, line));
}

export function sum(a: UsageLine, b: UsageLine): UsageLine {
  return {
    key: a.key,
    responses: a.responses + b.responses,
    ...combine(a, b, (one, other) => one + other),
    clientCostUsd: a.clientCostUsd + b.clientCostUsd,
    estimatedCostUsd: a.estimatedCostUsd + b.estimatedCostUsd,
    unpricedTokens: a.unpricedTokens + b.unpricedTokens,
  };
}

export function totalCost({ clientCostUsd, estimatedCostUsd }: UsageLine): number {
  return clientCostUsd + estimatedCostUsd;
}
