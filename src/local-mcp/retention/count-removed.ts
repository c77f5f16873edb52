import type { Sql } from "../../shared/sql.ts";
import * as totals from "../../store/metric-totals.ts";

/** Before the session's row is deleted: its calls still count in the metrics. */
export function countToolCalls(sql: Sql, sessionId: string): void {
  const [row] = sql.all<{ calls: number; errors: number }>(
    "SELECT tool_calls AS calls, tool_errors AS errors FROM sessions WHERE id = ?",
    sessionId,
  );
  totals.add(sql, "shim_tool_calls_total", { value: row?.calls ?? 0 });
  totals.add(sql, "shim_tool_errors_total", { value: row?.errors ?? 0 });
}
