import type { ModelAttempts, Ran } from "../../contract/routes.ts";
import type { AttemptEnd } from "../../contract/tasks.ts";
import type { Tx } from "../kernel/tx.ts";
import * as budgets from "./budgets.ts";
import { hasRoom, prune } from "./rows-by-type.ts";
import type { TaskRow } from "./task-rows.ts";
import type { RowOf } from "../../shared/table.ts";
import { attemptModels } from "./task-tables.ts";

/**
 * [RT23] [RT24] Which model did each ended attempt, routed or not. Apart from the routes, whose
 * rows are the evidence of the router: a model that no route has chosen has no propensity.
 */

/** Part of the transaction that ends the attempt. */
export function insert(tx: Tx, row: TaskRow, ran: Ran, { ended }: { readonly ended: AttemptEnd }): void {
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

export function sumByModel(sql: Tx["sql"], type: string): ModelAttempts[] {
  return sql.all<ModelAttempts>(
    `SELECT model, effort, source, count(*) AS attempts, sum(ended = 'done') AS done,
       avg(iif(costMicros > 0, costMicros, NULL)) AS meanCostMicros
     FROM attempt_models WHERE type = ? GROUP BY model, effort, source ORDER BY attempts DESC, model, effort, source`,
    type,
  );
}
