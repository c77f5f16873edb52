import { notedEnd, type Ending } from "../../../contract/ending.ts";
import type { CrashCause } from "../../../contract/readings.ts";
import type { Sql } from "../../../shared/sql.ts";
import * as totals from "../../../store/metric-totals.ts";
import { crashes } from "../../../store/session-tables.ts";
import { unsavedOf } from "../session-content.ts";
import * as sessions from "../sessions.ts";
import type { Session } from "../sessions.ts";

/** Whether a transcript is all that is known of it, with no sign of a death. */
export function isOnlyRead({ origin, owner, ending }: Session): boolean {
  const isQuiet = ending?.cause === "unknown" || ending?.cause === "closed";
  return origin === sessions.importOrigin && owner === null && isQuiet;
}

/**
 * Keeps the row of a death as its end is judged by now: a later fact may show another cause, that
 * it was none, or that it was one after all. No other function writes it.
 */
export function keepDeath(sql: Sql, session: Session, ending: Ending): void {
  const at = ending.signs.gone?.at;
  if (at === undefined) return;
  const key = { session: session.id, at };
  const death = deathIn(sql, { ...session, ending });
  const before = crashes.find(sql, key);
  if (before !== null && before.cause !== death?.cause)
    totals.add(sql, "shim_deaths_corrected_total", { labels: [before.cause, session.client] });
  if (death === null) return void crashes.delete(sql, key);
  if (before?.cause !== death.cause) totals.add(sql, "shim_deaths_total", { labels: [death.cause, session.client] });
  if (before === null) addDeath(sql, session, { ...key, ...death });
  else crashes.update(sql, key, death);
}

function deathIn(sql: Sql, session: Session): { readonly cause: CrashCause; readonly detail: string } | null {
  const { cause = null, detail = null, isOpen = false } = notedEnd(session.ending) ?? {};
  if (cause === null || detail === null || !isOpen || isOnlyRead(session)) return null;
  return sessions.hasContent(sql, session.id) ? { cause, detail } : null;
}

function addDeath(
  sql: Sql,
  { id, savedAt, readings }: Session,
  death: { readonly session: string; readonly at: number; readonly cause: CrashCause; readonly detail: string },
): void {
  const checkpointAgeMs = savedAt === null ? null : Math.max(0, death.at - savedAt);
  const { events: unsavedEvents, toolCalls: unsavedToolCalls } = unsavedOf(sql, id);
  crashes.insert(sql, { ...death, readings, checkpointAgeMs, unsavedEvents, unsavedToolCalls });
  totals.add(sql, "shim_unsaved_tool_calls_total", { value: unsavedToolCalls });
}
