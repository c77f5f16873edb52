import { modelFamily } from "../../contract/metrics.ts";
import type { Ran, Route, ModelAttempts, EpisodeSums, TierCounts, TypeRoutes } from "../../contract/routes.ts";
import type { AttemptEnd, TaskState } from "../../contract/tasks.ts";
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
  if (ran) insert(tx, row, ran, end);
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

/** Rows of ended attempts, with the key (type, task, claim). [RT22] [RT23] */
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

/**
 * [RT23] [RT24] Which model did each ended attempt, routed or not. Apart from the routes, whose
 * rows are the evidence of the router: a model that no route has chosen has no propensity.
 */

/** Part of the transaction that ends the attempt. */
function insert(tx: Tx, row: TaskRow, ran: Ran, { ended }: { readonly ended: AttemptEnd }): void {
  if (!hasRoom(tx.sql, "attempt_models", row.type)) return;
  const { tokens, costMicros } = budgets.usedByClaim(tx, row);
  const { type, task, claim } = row;
  attemptModels.put(tx.sql, { type, task, claim, ...ran, ended, at: tx.now, tokens, costMicros });
  prune(tx.sql, "attempt_models", row.type);
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

/** Pure. Success of the tiers of a type, and sums over its tasks as wholes. */

export const routeRows = routes.without("type", "claim", "settings", "at");

export type RouteRow = RowOf<typeof routeRows>;

/** @param rows in the order of tasks and their claims */
export function summarize(rows: readonly RouteRow[]): TypeRoutes {
  const episodes = toEpisodes(rows).filter(({ isEnded }) => isEnded);
  const comparable = episodes.filter(({ isComparable }) => isComparable);
  const priced = comparable.filter(({ dollars }) => dollars !== null);
  const startedAs = (baseline: "default" | "best"): Episode[] =>
    priced.filter((episode) => episode.baseline === baseline || episode.baseline === "both");
  return {
    tiers: countTiers(rows),
    routed: sumEpisodes(priced.map((episode) => ({ ...episode, propensity: 1 }))),
    default: sumEpisodes(startedAs("default")),
    best: sumEpisodes(startedAs("best")),
    incomparable: episodes.length - comparable.length,
    unpriced: comparable.length - priced.length,
  };
}

/** Ends that say something of the model, besides done. */
const failures: ReadonlySet<AttemptEnd> = new Set(["failed", "timeout", "budget_exceeded"]);

/** [RT12] Only first choices that could have been others: later attempts have the harder tasks. */
function countTiers(rows: readonly RouteRow[]): TierCounts[] {
  const counts = new Map<string, CountedTier>();
  for (const row of rows.filter(isTried)) {
    const { tier, model, effort, band } = row;
    const key = JSON.stringify([tier, model, effort, band]);
    counts.set(key, countRow(counts.get(key) ?? { ...noCounts, tier, model, effort, band }, row));
  }
  return [...counts.values()].map(({ priced, costMicros, ...tier }) =>
    Object.assign(tier, { meanCostMicros: priced === 0 ? null : costMicros / priced }),
  );
}

function isTried({ reason, ended, isCounted }: RouteRow): boolean {
  return reason === "sampled" && (ended === "done" || (failures.has(ended) && isCounted === 1));
}

interface CountedTier extends Omit<TierCounts, "meanCostMicros"> {
  /** Attempts whose cost is known, and its sum. */
  readonly priced: number;
  readonly costMicros: number;
}

const noCounts = { tried: 0, succeeded: 0, priced: 0, costMicros: 0 };

function countRow(before: CountedTier, { ended, costMicros: cost }: RouteRow): CountedTier {
  return {
    ...before,
    tried: before.tried + 1,
    succeeded: before.succeeded + (ended === "done" ? 1 : 0),
    priced: before.priced + (cost > 0 ? 1 : 0),
    costMicros: before.costMicros + cost,
  };
}

/** A task with all its routed attempts. */
interface Episode {
  /** Probability of the first attempt's tier. */
  readonly propensity: number;
  readonly baseline: Route["baseline"];
  readonly isComparable: boolean;
  readonly isEnded: boolean;
  readonly isAccepted: boolean;
  /** The cost is null where that of an attempt is unknown. */
  readonly dollars: number | null;
}

function toEpisodes(rows: readonly RouteRow[]): Episode[] {
  const byTask = new Map<number, RouteRow[]>();
  for (const row of rows) {
    const attempts = byTask.get(row.task);
    if (attempts) attempts.push(row);
    else byTask.set(row.task, [row]);
  }
  return [...byTask.values()].flatMap((attempts) => toEpisode(attempts) ?? []);
}

/** [RT30] Accepted: its last routed attempt made the task done, and no later one has begun. */
function toEpisode(attempts: readonly RouteRow[]): Episode | null {
  const [first, last] = [attempts[0], attempts.at(-1)];
  if (!first || !last) return null;
  const isPriced = attempts.every(({ tokens, costMicros: cost }) => cost > 0 || tokens === 0);
  return {
    propensity: first.propensity,
    baseline: first.baseline,
    isComparable: first.reason === "sampled" && first.isComparable === 1,
    isEnded: last.became === "done" || last.became === "dead",
    isAccepted: last.became === "done",
    dollars: isPriced ? attempts.reduce((sum, { costMicros: cost }) => sum + cost, 0) / 1e6 : null,
  };
}

const zeroSums: EpisodeSums = { n: 0, accepted: 0, w: 0, ww: 0, wc: 0, wa: 0, wwcc: 0, wwca: 0, wwaa: 0 };

/** [RT31] Each task weighs the inverse of the probability of its first tier. */
function sumEpisodes(episodes: readonly Episode[]): EpisodeSums {
  return episodes.reduce((sums, { propensity, dollars, isAccepted }) => {
    const [w, c, a] = [1 / propensity, dollars ?? 0, isAccepted ? 1 : 0];
    return {
      n: sums.n + 1,
      accepted: sums.accepted + a,
      w: sums.w + w,
      ww: sums.ww + w * w,
      wc: sums.wc + w * c,
      wa: sums.wa + w * a,
      wwcc: sums.wwcc + w * w * c * c,
      wwca: sums.wwca + w * w * c * a,
      wwaa: sums.wwaa + w * w * a,
    };
  }, zeroSums);
}
