import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";
import { observe } from "../observe/observe.ts";
import { idOf, label } from "../sessions/entries.ts";
import { recordSettings } from "../recording/session-settings.ts";
import { isSessionPaused } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import { streakAfter } from "../signals/context-readings.ts";
import { countRequest } from "../usage/ledger.ts";
import type { TelemetryEvent } from "./otlp-events.ts";

const receivedKey = "telemetry_received_at";

/** Epoch ms of the last event of a client; null: none has come. */
export function lastReceivedAt(sql: Sql): number | null {
  const value = meta.read(sql, receivedKey);
  return value === null ? null : Number(value);
}

/** Part of the caller's transaction. Events of sessions that SHIM does not save are skipped. */
export function recordEvents(sql: Sql, runtime: Runtime, events: readonly TelemetryEvent[]): void {
  const now = runtime.now();
  meta.write(sql, receivedKey, String(now));
  for (const [id, list] of Map.groupBy(events, ({ sessionId }) => idOf(sessionId))) {
    const session = sessions.get(sql, id);
    if (!session || isSessionPaused(sql, now, session)) continue;
    const requests = list.filter((event) => event.kind === "request");
    for (const { requestId, model, costMicros, at, input, output, cacheRead, cacheWrite } of requests) {
      // [OB22] Without an id of the request it could not be matched with the transcript.
      if (requestId === null) continue;
      const counts = { input, output, cacheRead, cacheWrite };
      countRequest(sql, session, { requestId, model: label(model), costMicros, at, counts }, now);
    }
    const effort = requests.findLast((event) => event.effort !== null)?.effort;
    if (effort) recordSettings(sql, now, id, runtime.config, { model: session.model, effort: label(effort) });
    const outcomes = list.map((event) => ({
      at: event.at,
      failedTries: event.kind === "request" ? 0 : event.attempts,
    }));
    const streak = streakAfter(session.readings.apiErrors, outcomes, "measured", now);
    if (streak && streak !== session.readings.apiErrors) observe(sql, runtime, session, null, { apiErrors: streak });
  }
}
