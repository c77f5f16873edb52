import type { Sql } from "../../shared/sql.ts";
import type { Store } from "../../store/store.ts";
import * as meta from "../../store/meta.ts";
import { digest } from "../sessions/entries.ts";

/** Ids of the events that were recorded last: a sender without an answer has spooled its event. */
const key = "recorded_events";
const maxIds = 128;

/** @param process the line by which the process of a hook describes itself: it has one event */
export function eventIdOf(event: string, process: string): string {
  return digest(`${event} ${process}`);
}

function idsIn(sql: Sql): string[] {
  return meta.read(sql, key)?.split(" ") ?? [];
}

export function noteRecorded(sql: Sql, id: string): void {
  meta.write(sql, key, [...idsIn(sql).slice(1 - maxIds), id].join(" "));
}

/** [HO74] Whether the event was recorded before, as it came or from the spool. */
export function isRecorded(store: Store, id: string | undefined): boolean {
  return id !== undefined && store.read((sql) => idsIn(sql).includes(id), false);
}
