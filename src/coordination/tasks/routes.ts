import { modelFamily } from "../../contract/metrics.ts";
import type { Route } from "../../contract/routes.ts";
import type { AttemptEnd, TaskState } from "../../contract/tasks.ts";
import { ok } from "../../shared/result.ts";
import type { Handlers } from "../kernel/handlers.ts";
import * as totals from "../kernel/metric-totals.ts";
import type { Tx } from "../kernel/tx.ts";
import * as budgets from "./budgets.ts";
import { summarize, type RouteRow } from "./route-sums.ts";
import type { TaskRow } from "./task-rows.ts";

/** [RT22] Limits of the rows of a type, newest tasks first, and of types. */
const maxRoutesPerType = 2_000;
const maxTypes = 200;

export const handlers = {
  "tasks.routes"({ sql }, { type }) {
    const routes = type === undefined ? null : summarize(listRoutes(sql, type));
    return ok({ types: listTypes(sql), routes });
  },
} satisfies Partial<Handlers>;

/** [RT20] Adds the reported route to the row, which keeps it until the attempt ends. */
export function withRoute<Row extends Pick<TaskRow, "claim" | "route">>(row: Row, route: Route | undefined): Row {
  return route === undefined ? row : { ...row, route: JSON.stringify({ claim: row.claim, ...route }) };
}

/** The route of the present claim; null: its chat has reported none. */
export function routeOf({ claim, route }: Pick<TaskRow, "claim" | "route">): Route | null {
  if (route === null) return null;
  const stored = JSON.parse(route) as Route & { readonly claim: number };
  return stored.claim === claim ? stored : null;
}

interface RouteEnd {
  readonly ended: AttemptEnd;
  readonly became: TaskState;
}

/** [RT20] In the transaction that ends the attempt; writes nothing for one without a route. */
export function record(tx: Tx, row: TaskRow, { ended, became }: RouteEnd): void {
  const route = routeOf(row);
  if (!route || !hasRoom(tx.sql, row.type)) return;
  const { tokens, costMicros } = budgets.usedByClaim(tx, row);
  tx.sql.run(
    `INSERT OR REPLACE INTO routes (type, task, claim, tier, model, effort, band, reason, propensity, baseline, is_comparable, settings,
       is_counted, ended, became, at, tokens, cost_micros)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row.type,
    row.task,
    row.claim,
    route.tier,
    route.model,
    route.effort,
    route.band,
    route.reason,
    route.propensity,
    route.baseline,
    route.isComparable ? 1 : 0,
    route.settings,
    route.isCounted ? 1 : 0,
    ended,
    became,
    tx.now,
    tokens,
    costMicros,
  );
  prune(tx.sql, row.type);
  totals.add(tx, "shim_routed_attempts_total", modelFamily(route.model));
  totals.add(tx, "shim_routed_cost_dollars_total", modelFamily(route.model), costMicros / 1e6);
}

function hasRoom(sql: Tx["sql"], type: string): boolean {
  const isKnown = sql.all("SELECT 1 FROM routes WHERE type = ? LIMIT 1", type).length > 0;
  return isKnown || listTypes(sql).length < maxTypes;
}

function prune(sql: Tx["sql"], type: string): void {
  sql.run(
    `DELETE FROM routes WHERE type = ? AND (task, claim) <=
       (SELECT task, claim FROM routes WHERE type = ? ORDER BY task DESC, claim DESC LIMIT 1 OFFSET ?)`,
    type,
    type,
    maxRoutesPerType,
  );
}

/** Steps from one type to the next in the key, which has up to thousands of rows for each. */
function listTypes(sql: Tx["sql"]): string[] {
  const query = `WITH RECURSIVE found (type) AS (
      SELECT min(type) FROM routes
      UNION ALL SELECT (SELECT min(type) FROM routes WHERE type > found.type) FROM found WHERE found.type IS NOT NULL)
    SELECT type FROM found WHERE type IS NOT NULL`;
  return sql.all<{ type: string }>(query).map(({ type }) => type);
}

/** In the order of tasks and their claims. */
function listRoutes(sql: Tx["sql"], type: string): RouteRow[] {
  return sql.all<RouteRow>(
    `SELECT task, tier, model, effort, band, reason, propensity, baseline, is_comparable, is_counted, ended, became, tokens, cost_micros
     FROM routes WHERE type = ? ORDER BY task, claim`,
    type,
  );
}
