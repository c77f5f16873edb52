import { standingOf } from "../../machine/sessions/life/questions.ts";
import * as life from "../../machine/sessions/life/row.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { refresh } from "../../machine/sessions/signals/observe.ts";
import { isSessionPaused } from "../../machine/sessions/session-settings.ts";
import { unreadBytes } from "../../clients/transcript/transcript-file.ts";
import { attempt } from "../../platform/log-file.ts";
import { setIdleTimer } from "../../platform/timers.ts";
import type { Runtime } from "../../runtime/runtime.ts";

const checkMs = 1_000;
/** A dialog that is open for longer is read on with the other readings. */
const maxChecks = 600;

/**
 * A client may show by its transcript alone that its user has answered: it is read on each second
 * while the chat waits for an answer, not for a prompt, for ten minutes at most.
 *
 * @param isOver whether something else shows that the chat waits no more
 */
export function watchWait(runtime: Runtime, session: string, isOver: () => boolean, checks = maxChecks): void {
  const check = async (): Promise<void> => {
    let isWaiting = true;
    await attempt(runtime.log, "the state of a chat that waits was not read", () => {
      readOn(runtime, session);
      const stood = runtime.store.read((sql) => life.read(sql, session), null);
      isWaiting = !isOver() && stood !== null && standingOf(stood) === "asking";
    });
    if (isWaiting && checks > 1) watchWait(runtime, session, isOver, checks - 1);
  };
  setIdleTimer(() => void check(), checkMs);
}

function readOn(runtime: Runtime, id: string): void {
  const { store, now } = runtime;
  const session = store.read((sql) => {
    const found = sessions.get(sql, id);
    return found && !isSessionPaused(sql, now(), found) ? found : null;
  }, null);
  if (session?.transcriptPath && unreadBytes(session.transcriptPath, session.transcriptOffset) > 0)
    refresh(runtime, session);
}
