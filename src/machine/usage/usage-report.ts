import type { Config } from "../../contract/config.ts";
import type { Grouping, UsageLine } from "../../contract/machine/usage.ts";
import type { Sql } from "../../shared/sql.ts";
import { priceOf, type TokenCounts } from "./ledger.ts";

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
    const tokens = one.input + one.output + one.cacheRead + one.cacheWrite;
    const cost = { estimatedCostUsd: (estimate ?? 0) / 1e6, unpricedTokens: estimate === null ? tokens : 0 };
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
  input: 0,
  output: 0,
  cacheRead: 0,
  cacheWrite: 0,
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
    input: a.input + b.input,
    output: a.output + b.output,
    cacheRead: a.cacheRead + b.cacheRead,
    cacheWrite: a.cacheWrite + b.cacheWrite,
    clientCostUsd: a.clientCostUsd + b.clientCostUsd,
    estimatedCostUsd: a.estimatedCostUsd + b.estimatedCostUsd,
    unpricedTokens: a.unpricedTokens + b.unpricedTokens,
  };
}

export function totalCost({ clientCostUsd, estimatedCostUsd }: UsageLine): number {
  return clientCostUsd + estimatedCostUsd;
}

function totalTokens({ input, output, cacheRead, cacheWrite }: UsageLine): number {
  return input + output + cacheRead + cacheWrite;
}
