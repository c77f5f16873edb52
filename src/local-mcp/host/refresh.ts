import { timerTrigger } from "../../machine/sessions/signals/risk.ts";
import { capture } from "../../machine/sessions/checkpoints/capture.ts";
import { unsavedOf } from "../../machine/sessions/session-content.ts";
import { isSessionPaused } from "../../machine/sessions/session-settings.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { refresh } from "../../machine/sessions/signals/observe.ts";
import { hasWritten, recordSubagents } from "../../machine/sessions/transcripts/record-subagents.ts";
import { catchUp } from "../../machine/sessions/transcripts/record-transcript.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/known-time.ts";

const refreshIntervalMs = 15_000;
/** The same for a session without news, of which only the memory of its machine changes. */
const idleRefreshIntervalMs = 600_000;

/** Takes the readings that no hook reports, and a due checkpoint. */
export function refreshIfDue({ runtime }: { readonly runtime: Runtime }, sessionId: string): void {
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  if (!session || session.ending?.how === "ended") return;
  const last = session.readings.sessionAgeMs?.at ?? 0;
  // A status line keeps the readings recent, and may be the one that saw the risk rise.
  const age = session.riskMark.pending === null ? runtime.now() - last : Number.POSITIVE_INFINITY;
  if (isWithin(age, refreshIntervalMs)) return;
  if (!isWithin(age, idleRefreshIntervalMs) || hasNews(runtime, session, last)) observeSession(runtime, session);
}

/** Whether something has happened in the session since `last`, or is not saved. */
function hasNews({ store }: Runtime, session: sessions.Session, last: number): boolean {
  const isUnsaved = store.read((sql) => unsavedOf(sql, session.id).events, 0) > 0;
  return session.lastSeenAt > last || isUnsaved || hasWritten(session, last);
}

function observeSession(runtime: Runtime, session: sessions.Session): void {
  const sessionId = session.id;
  if (runtime.store.read((sql) => isSessionPaused(sql, runtime.now(), session), false)) {
    runtime.store.write((sql) => catchUp(sql, runtime.now(), sessionId));
    return;
  }
  const options = { prices: runtime.config.usage.prices, isOver: false };
  runtime.store.write((sql) => recordSubagents(sql, session, runtime.now(), options));
  const { facts, config } = refresh(runtime, session);
  const trigger = timerTrigger(facts, config.checkpoint);
  if (trigger) capture(runtime, { sessionId, trigger });
}
