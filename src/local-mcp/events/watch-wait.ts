import { unreadBytes } from "../../clients/transcript/transcript-file.ts";
import { isInTurn, standingOf } from "../../machine/sessions/life/questions.ts";
import * as life from "../../machine/sessions/life/row.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { refresh } from "../../machine/sessions/signals/observe.ts";
import { isSessionPaused } from "../../machine/sessions/session-settings.ts";
import { attempt } from "../../platform/log-file.ts";
import { setIdleTimer } from "../../platform/timers.ts";
import type { Runtime } from "../../runtime/runtime.ts";

const checkMs = 1_000;
/** A chat that waits for longer is read on with the other readings. */
const maxChecks = 600;

/**
 * A client may show by its transcript alone that its user has answered: it is read on each second
 * while the chat waits for an answer, not for a prompt, for ten minutes at most.
 *
 * @param isOver whether something else shows that the chat waits no more
 */
export function watchWait(runtime: Runtime, session: string, isOver: () => boolean): void {
  repeat(runtime, () => {
    const found = openSession(runtime, session);
    if (found && unreadOf(found) > 0) refresh(runtime, found);
    return !isOver() && stands(runtime, session) === "asking";
  });
}

/**
 * The same for a client whose transcript alone shows that an error has ended the turn: until the
 * next event, while the chat waits for its model. What grows is left to the event that follows it.
 */
export function watchTurn(runtime: Runtime, session: string): void {
  const begun = openSession(runtime, session);
  if (begun === null) return;
  let unread = 0;
  repeat(runtime, () => {
    const found = openSession(runtime, session);
    if (found?.lastSeenAt !== begun.lastSeenAt) return false;
    const before = unread;
    unread = unreadOf(found);
    if (unread > 0 && unread === before) refresh(runtime, found);
    const standing = stands(runtime, session);
    return standing === "unanswered" || standing === "working";
  });
}

/** The same for a turn that was stopped from elsewhere, until its end is read. */
export function watchStop(runtime: Runtime, session: string): void {
  repeat(runtime, () => {
    const found = openSession(runtime, session);
    if (found && unreadOf(found) > 0) refresh(runtime, found);
    return isInTurn(runtime.store.read((sql) => life.read(sql, session), null)) === true;
  });
}

function repeat(runtime: Runtime, isOn: () => boolean, checks = maxChecks): void {
  const check = async (): Promise<void> => {
    let goesOn = true;
    await attempt(runtime.log, "a transcript was not read on", () => {
      goesOn = isOn();
    });
    if (goesOn && checks > 1) repeat(runtime, isOn, checks - 1);
  };
  setIdleTimer(() => void check(), checkMs);
}

function stands({ store }: Runtime, session: string): string | null {
  const stood = store.read((sql) => life.read(sql, session), null);
  return stood && standingOf(stood);
}

/** @returns null: the session is paused, or not known */
function openSession({ store, now }: Runtime, id: string): sessions.Session | null {
  return store.read((sql) => {
    const found = sessions.get(sql, id);
    return found && !isSessionPaused(sql, now(), found) ? found : null;
  }, null);
}

function unreadOf({ transcriptPath: path, transcriptOffset }: sessions.Session): number {
  return path === null ? 0 : unreadBytes(path, transcriptOffset);
}
