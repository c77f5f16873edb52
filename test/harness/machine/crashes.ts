import { parseObject } from "#src/shared/json-fields.ts";
import type { Sql } from "#src/shared/sql.ts";
import type { Readings } from "#src/contract/readings.ts";
import type { Crash } from "#src/local-mcp/signals/history.ts";

/** The deaths that are stored, newest first. */
export function listCrashes(sql: Sql): Crash[] {
  return sql
    .all<Omit<Crash, "readings"> & { readings: string }>(
      `SELECT session_id AS sessionId, at, cause, detail, readings, checkpoint_age_ms AS checkpointAgeMs,
         unsaved_events AS unsavedEvents, unsaved_tool_calls AS unsavedToolCalls FROM crashes
       ORDER BY at DESC, session_id`,
    )
    .map(({ readings, ...row }) => Object.assign(row, { readings: parseObject(readings) as Readings }));
}
