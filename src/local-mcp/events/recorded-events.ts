import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

/** Ids of the events that were recorded last: a sender without an answer has spooled its event. */
const key = "recorded_events";
const maxIds = 128;

/** @returns false for an event that was recorded before, as it came or from the spool */
export function noteOnce(sql: Sql, id: string | undefined): boolean {
  if (id === undefined) return true;
  const ids = meta.read(sql, key)?.split(" ") ?? [];
  if (ids.includes(id)) return false;
  meta.write(sql, key, [...ids.slice(1 - maxIds), id].join(" "));
  return true;
}
