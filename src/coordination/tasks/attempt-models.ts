import type { ModelAttempts, Ran } from "../../contract/routes.ts";
import type { AttemptEnd } from "../../contract/tasks.ts";
import type { Tx } from "../kernel/tx.ts";
import * as budgets from "./budgets.ts";
import { hasRoom, prune } from "./rows-by-type.ts";
import type { TaskRow } from "./task-rows.ts";

/**
 * [RT23] [RT24] Which model did each ended attempt, routed or not. Apart from the routes, whose
 * rows are the evidence of the router: a model that no route has chosen has no propensity.
 */

/** Part of the transaction that ends the attempt. */
export function insert(tx: Tx, row: TaskRow, ran: Ran, { ended }: { readonly ended: AttemptEnd }): void {
  if (!hasRoom(tx.sql, "attempt_models", row.type)) return;
  const { tokens, costMicros } = budgets.usedByClaim(tx, row);
  tx.sql.run(
    `INSERT OR REPLACE INTO attempt_models (type, task, claim, model, effort, source, ended, at, tokens, cost_micros)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row.type,
    row.task,
    row.claim,
    ran.model,
    ran.effort,
    ran.source,
    ended,
    tx.now,
    tokens,
    costMicros,
  );
  prune(tx.sql, "attempt_models", row.type);
}

type AttemptModel = Ran & { readonly tokens: number; readonly costMicros: number };

export function find({ sql }: Tx, type: string, task: number, claim: number): AttemptModel | null {
  const query = `SELECT model, effort, source, tokens, cost_micros AS costMicros FROM attempt_models
    WHERE type = ? AND task = ? AND claim = ?`;
  return sql.all<AttemptModel>(query, type, task, claim)[0] ?? null;
}

export function sumByModel(sql: Tx["sql"], type: string): ModelAttempts[] {
  return sql.all<ModelAttempts>(
    `SELECT model, effort, source, count(*) AS attempts, sum(ended = 'done') AS done,
       avg(iif(cost_micros > 0, cost_micros, NULL)) AS meanCostMicros
     FROM attempt_models WHERE type = ? GROUP BY model, effort, source ORDER BY attempts DESC, model, effort, source`,
    type,
  );
}
