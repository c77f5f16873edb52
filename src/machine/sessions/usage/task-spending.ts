import type { Usage } from "../../../contract/budgets.ts";
import { isWayToOwnTool } from "../../../contract/own-tools.ts";
import type { ClaimedTask } from "../../../contract/tasks.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { RowOf } from "../../../shared/table.ts";
import { taskSpending } from "../../../store/machine-tables.ts";

export type TaskSpending = RowOf<typeof taskSpending>;

/** Each task counts its own claims. */
type ClaimOfTask = Pick<ClaimedTask, "task" | "claim">;

export function begin(sql: Sql, sessionId: string, { task, claim, budget }: ClaimedTask, now: number): void {
  const { wallMs: limitWallMs, tokens: limitTokens, costMicros: limitCostMicros } = budget;
  const limits = { limitWallMs, limitTokens, limitCostMicros };
  taskSpending.put(sql, { session: sessionId, task, claim, startedAt: now, tokens: 0, costMicros: 0, ...limits });
}

/** A task stopped at its limit stays stopped until the user speaks. */
export function end(sql: Sql, sessionId: string, { task, claim }: ClaimOfTask): void {
  taskSpending.delete(sql, { session: sessionId, task, claim, exceeded: null });
}

export function exceed(sql: Sql, sessionId: string, { task, claim }: ClaimOfTask, reason: string): void {
  taskSpending.update(sql, { session: sessionId, task, claim }, { exceeded: reason });
}

/** The user has said how to continue. */
export function release(sql: Sql, sessionId: string): void {
  sql.run("DELETE FROM task_spending WHERE session = ? AND exceeded IS NOT NULL", sessionId);
}

export function get(sql: Sql, sessionId: string): TaskSpending | null {
  return taskSpending.find(sql, { session: sessionId });
}

export function add(sql: Sql, sessionId: string, tokens: number, costMicros: number): void {
  if (tokens === 0 && costMicros === 0) return;
  const query = "UPDATE task_spending SET tokens = tokens + ?, costMicros = costMicros + ? WHERE session = ?";
  sql.run(query, tokens, costMicros, sessionId);
}

export function toUsage({ startedAt, tokens, costMicros }: TaskSpending, now: number): Usage {
  return { wallMs: Math.max(0, now - startedAt), tokens, costMicros: Math.round(costMicros) };
}

/** The coordinator let the attempt continue above a limit: the limit was raised. */
export function confirm(
  sql: Sql,
  sessionId: string,
  { task, claim }: ClaimOfTask,
  { wallMs, tokens, costMicros }: Usage,
): void {
  sql.run(
    `UPDATE task_spending SET limitWallMs = iif(limitWallMs <= ?, NULL, limitWallMs),
       limitTokens = iif(limitTokens <= ?, NULL, limitTokens),
       limitCostMicros = iif(limitCostMicros <= ?, NULL, limitCostMicros)
     WHERE session = ? AND task = ? AND claim = ? AND (limitWallMs <= ? OR limitTokens <= ? OR limitCostMicros <= ?)`,
    wallMs,
    tokens,
    costMicros,
    sessionId,
    task,
    claim,
    wallMs,
    tokens,
    costMicros,
  );
}

interface LimitMeasure {
  readonly used: number;
  readonly limit: number;
  readonly text: string;
}

function measureAll(spending: TaskSpending, now: number): LimitMeasure[] {
  const { wallMs, tokens, costMicros } = toUsage(spending, now);
  const { limitWallMs, limitTokens, limitCostMicros } = spending;
  return [
    ...measure(tokens, limitTokens, showTokens),
    ...measure(costMicros, limitCostMicros, showCost),
    ...measure(wallMs, limitWallMs, (value) => `${Math.round(value / 60_000)} min`),
  ];
}

function showTokens(tokens: number): string {
  return `${tokens.toLocaleString("en-US")} tokens`;
}

function showCost(costMicros: number): string {
  return `$${(costMicros / 1_000_000).toFixed(2)}`;
}

/** Empty without a limit. */
function measure(used: number, limit: number | null, show: (value: number) => string): LimitMeasure[] {
  return limit === null ? [] : [{ used, limit, text: `${show(used)} of ${show(limit)}` }];
}

/** SHIM's own tools stay open: the chat has to report what it has. */
export function refusal(sql: Sql, sessionId: string, toolName: string | undefined, now: number): string | null {
  const spending = get(sql, sessionId);
  if (!spending || isWayToOwnTool(toolName ?? "")) return null;
  const over = spending.exceeded ?? measureAll(spending, now).find(({ used, limit }) => used >= limit)?.text ?? null;
  if (over === null) return null;
  return `SHIM: the budget of task ${spending.task} is used up (${over}). Do not continue it by other means. Report what is done with shim_report, and tell the user, who can raise the limit with \`shim team budget set\` or say how to continue.`;
}

const warnShare = 0.8;

/** Returns null below four fifths, or when already shown. */
export function warning(sql: Sql, sessionId: string, now: number): string | null {
  const spending = get(sql, sessionId);
  if (!spending || spending.warnedAt !== null || spending.exceeded !== null) return null;
  const nearLimit = measureAll(spending, now).filter(({ used, limit }) => used >= limit * warnShare);
  if (nearLimit.length === 0) return null;
  taskSpending.update(sql, { session: sessionId }, { warnedAt: now });
  const measures = nearLimit.map(({ text }) => text).join(", ");
  return `SHIM: task ${spending.task} has used ${measures} of its budget. At the limit tool calls are denied: finish, or report what is done.`;
}
