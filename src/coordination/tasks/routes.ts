import { modelFamily } from "../../contract/metrics.ts";
import type { Ran, Route } from "../../contract/routes.ts";
import type { AttemptEnd, TaskState } from "../../contract/tasks.ts";
import { ok } from "../../shared/result.ts";
import type { Handlers } from "../kernel/handlers.ts";
import * as totals from "../kernel/metric-totals.ts";
import type { Tx } from "../kernel/tx.ts";
import * as attemptModels from "./attempt-models.ts";
import * as budgets from "./budgets.ts";
import { hasRoom, listTypes, prune } from "./rows-by-type.ts";
import { routeRows, summarize, type RouteRow } from "./route-sums.ts";
import type { TaskRow } from "./task-rows.ts";
import { routes } from "./task-tables.ts";

export const handlers = {
  "tasks.routes"({ sql }, { type }) {
    if (type === undefined) return ok({ types: listTypes(sql, "routes"), routes: null });
    const models = attemptModels.sumByModel(sql, type);
    const summary = { ...summarize(listRoutes(sql, type)), ...(models.length > 0 ? { models } : {}) };
    return ok({ types: listTypes(sql, "routes"), routes: summary });
  },
} satisfies Partial<Handlers>;

/** JSON in the row of a task. Each part names its claim: earlier versions read a route alone. */
type Stored = Partial<Route & { readonly claim: number }> & { readonly ran?: Ran & { readonly claim: number } };

/** Reports of the present claim; null: its chat has made none. */
interface Reports {
  readonly route: Route | null;
  readonly ran: Ran | null;
}

function reportsOf({ claim, route: text }: Pick<TaskRow, "claim" | "route">): Reports {
  if (text === null) return { route: null, ran: null };
  const { ran, ...route } = JSON.parse(text) as Stored;
  return { route: route.claim === claim ? (route as Route) : null, ran: ran?.claim === claim ? ran : null };
}

interface Reported {
  readonly route?: Route | undefined;
  readonly ran?: Ran | undefined;
}

/** [RT20] [RT23] Adds what is reported to the row, which keeps it until the attempt ends. */
export function withModels<Row extends Pick<TaskRow, "claim" | "route">>(row: Row, reported: Reported): Row {
  if (reported.route === undefined && reported.ran === undefined) return row;
  const { claim } = row;
  const before = reportsOf(row);
  const route = reported.route ?? before.route;
  const ran = reported.ran ?? before.ran;
  const stored: Stored = { ...(route && { claim, ...route }), ...(ran && { ran: { ...ran, claim } }) };
  return { ...row, route: JSON.stringify(stored) };
}

interface RouteEnd {
  readonly ended: AttemptEnd;
  readonly became: TaskState;
}

/** [RT20] [RT23] In the transaction that ends the attempt; writes nothing without a report. */
export function record(tx: Tx, row: TaskRow, end: RouteEnd): void {
  const { route, ran } = reportsOf(row);
  if (ran) attemptModels.insert(tx, row, ran, end);
  if (route) insertRoute(tx, row, route, end);
}

function insertRoute(tx: Tx, row: TaskRow, route: Route, { ended, became }: RouteEnd): void {
  if (!hasRoom(tx.sql, "routes", row.type)) return;
  const { tokens, costMicros } = budgets.usedByClaim(tx, row);
  const { type, task, claim } = row;
  const flags = { isComparable: route.isComparable ? 1 : 0, isCounted: route.isCounted ? 1 : 0 };
  const end = { ended, became, at: tx.now, tokens, costMicros };
  routes.put(tx.sql, { type, task, claim, ...route, ...flags, ...end });
  prune(tx.sql, "routes", row.type);
  totals.add(tx, "shim_routed_attempts_total", modelFamily(route.model));
  totals.add(tx, "shim_routed_cost_dollars_total", modelFamily(route.model), costMicros / 1e6);
}

/** In the order of tasks and their claims. */
function listRoutes(sql: Tx["sql"], type: string): RouteRow[] {
  return routeRows.select(sql, "WHERE type = ? ORDER BY task, claim", type);
}
