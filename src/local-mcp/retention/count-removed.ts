import type { Sql } from "../../shared/sql.ts";
import { sessions } from "../../store/session-tables.ts";
import * as totals from "../../store/metric-totals.ts";

/** Before the session's row is deleted: its calls still count in the metrics. */
export function countToolCalls(sql: Sql, sessionId: string): void {
  const { toolCalls, toolErrors } = sessions.find(sql, { id: sessionId }) ?? { toolCalls: 0, toolErrors: 0 };
  totals.add(sql, "shim_tool_calls_total", { value: toolCalls });
  totals.add(sql, "shim_tool_errors_total", { value: toolErrors });
}
