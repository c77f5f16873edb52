import type { CheckedInputOf } from "../../contract/operations.ts";
import type { AttemptOutcome } from "./attempt-rows.ts";
import { modelFamily } from "../../contract/metrics.ts";
import {
  comparedBands,
  type ModelAttempts,
  type Ran,
  type Route,
  type TierCounts,
  type TypeRoutes,
} from "../../contract/model-routes.ts";
import { ok } from "../../shared/result.ts";
import type { Handlers } from "../kernel/handlers.ts";
import * as totals from "../kernel/metric-totals.ts";
import type { Tx } from "../kernel/tx.ts";
import * as budgets from "./budgets.ts";
import type { TaskRow } from "./task-rows.ts";
import { routes, attemptModels } from "./task-tables.ts";
import type { RowOf } from "../../shared/table.ts";

export const handlers = {
  "tasks.routes"({ sql }, { type }) {
    if (type === undefined) return ok({ types: listTypes(sql, "routes"), routes: null });
    const models = sumByModel(sql, type);
    const summary = {
      tiers: countTiers(sql, type),
      routed: sumTasks(sql, type),
      ...(models.length > 0 ? { models } : {}),
    };
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

/** Adds what is reported to the row, which keeps it until the attempt ends. */
export function withModels<Row extends Pick<TaskRow, "claim" | "route">>(
  row: Row,
  reported: Pick<CheckedInputOf<"tasks.heartbeat">, "route" | "ran">,
): Row {
  if (reported.route === undefined && reported.ran === undefined) return row;
  const { claim } = row;
  const before = reportsOf(row);
  const route = reported.route ?? before.route;
  const ran = reported.ran ?? before.ran;
  const stored: Stored = { ...(route && { claim, ...route }), ...(ran && { ran: { ...ran, claim } }) };
  return { ...row, route: JSON.stringify(stored) };
}

/** In the transaction that ends the attempt; writes nothing without a report. */
export function record(tx: Tx, row: TaskRow, { ended, became }: Pick<AttemptOutcome, "ended" | "became">): void {
  const { route, ran } = reportsOf(row);
  // Apart from the routes, whose rows are the evidence of the router.
  if (ran) store(tx, row, "attempt_models", (facts) => attemptModels.put(tx.sql, { ...ran, ...facts, ended }));
  if (!route) return;
  const isCounted = route.isCounted ? 1 : 0;
  store(tx, row, "routes", (facts) => {
    routes.put(tx.sql, { ...route, ...facts, isCounted, ended, became });
    totals.add(tx, "shim_routed_attempts_total", modelFamily(route.model));
    totals.add(tx, "shim_routed_cost_dollars_total", modelFamily(route.model), facts.costMicros / 1e6);
  });
}

type Facts = Pick<RowOf<typeof routes>, "type" | "task" | "claim" | "at" | "tokens" | "costMicros">;

function store(tx: Tx, row: TaskRow, table: Table, put: (facts: Facts) => unknown): void {
  const { type, task, claim } = row;
  if (!hasRoom(tx.sql, table, type)) return;
  const { tokens, costMicros } = budgets.usedByClaim(tx, row);
  put({ type, task, claim, at: tx.now, tokens, costMicros });
  prune(tx.sql, table, type);
}

/** Rows of ended attempts, with the key (type, task, claim). */
type Table = "routes" | "attempt_models";

/** Limits of the rows of a type, newest tasks first, and of types. */
const maxRowsPerType = 2_000;
const maxTypes = 200;

function hasRoom(sql: Tx["sql"], table: Table, type: string): boolean {
  const isKnown = sql.all(`SELECT 1 FROM ${table} WHERE type = ? LIMIT 1`, type).length > 0;
  return isKnown || listTypes(sql, table).length < maxTypes;
}

function prune(sql: Tx["sql"], table: Table, type: string): void {
  sql.run(
    `DELETE FROM ${table} WHERE type = ? AND (task, claim) <=
       (SELECT task, claim FROM ${table} WHERE type = ? ORDER BY task DESC, claim DESC LIMIT 1 OFFSET ?)`,
    type,
    type,
    maxRowsPerType,
  );
}

/** Steps from one type to the next in the key, which has up to thousands of rows for each. */
function listTypes(sql: Tx["sql"], table: Table): string[] {
  const query = `WITH RECURSIVE found (type) AS (
      SELECT min(type) FROM ${table}
      UNION ALL SELECT (SELECT min(type) FROM ${table} WHERE type > found.type) FROM found WHERE found.type IS NOT NULL)
    SELECT type FROM found WHERE type IS NOT NULL`;
  return sql.all<{ type: string }>(query).map(({ type }) => type);
}

const models = attemptModels.pick("model", "effort", "source", "tokens", "costMicros");

type AttemptModel = RowOf<typeof models>;

export function find({ sql }: Tx, type: string, task: number, claim: number): AttemptModel | null {
  return models.find(sql, { type, task, claim });
}

function sumByModel(sql: Tx["sql"], type: string): ModelAttempts[] {
  return sql.all<ModelAttempts>(
    `SELECT model, effort, source, count(*) AS attempts, sum(ended = 'done') AS done,
       avg(iif(costMicros > 0, costMicros, NULL)) AS meanCostMicros
     FROM attempt_models WHERE type = ? GROUP BY model, effort, source ORDER BY attempts DESC, model, effort, source`,
    type,
  );
}

/** Only first choices that could have been others: later attempts have the harder tasks. */
function countTiers(sql: Tx["sql"], type: string): TierCounts[] {
  return sql.all<TierCounts>(
    `SELECT tier, model, effort, band, count(*) AS tried, sum(ended = 'done') AS succeeded,
       avg(iif(costMicros > 0, costMicros, NULL)) AS meanCostMicros
     FROM routes WHERE type = ? AND reason IN ('chosen', 'explored')
       AND band IN (SELECT value FROM json_each(?))
       AND (ended = 'done' OR isCounted = 1 AND ended IN ('failed', 'timeout', 'budget_exceeded'))
     GROUP BY tier, model, effort, band ORDER BY min(task)`,
    type,
    JSON.stringify(comparedBands),
  );
}

/** Accepted: its last routed attempt made the task done, and no later one has begun. */
function sumTasks(sql: Tx["sql"], type: string): TypeRoutes["routed"] {
  const [sums] = sql.all<TypeRoutes["routed"]>(
    `SELECT count(*) AS tasks, coalesce(sum(became = 'done'), 0) AS accepted, coalesce(sum(cost), 0) AS costMicros
     FROM (SELECT became, max(claim), sum(costMicros) AS cost, sum(costMicros = 0 AND tokens > 0) AS unknown
           FROM routes WHERE type = ? GROUP BY task)
     WHERE became IN ('done', 'dead') AND unknown = 0`,
    type,
  );
  return sums ?? { tasks: 0, accepted: 0, costMicros: 0 };
}
