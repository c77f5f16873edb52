import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

/** Ids of the events that were recorded last: a sender without an answer has spooled its event. */
const key = "recorded_events";
const maxIds = 128;

function listIds(sql: Sql): string[] {
  return meta.read(sql, key)?.split(" ") ?? [];
}

/** Whether the event was recorded before, as it came or from the spool. */
export function isRecorded(sql: Sql, id: string | undefined): boolean {
  return id !== undefined && listIds(sql).includes(id);
}

export function noteRecorded(sql: Sql, id: string | undefined): void {
  if (id !== undefined) meta.write(sql, key, [...listIds(sql).slice(1 - maxIds), id].join(" "));
}
