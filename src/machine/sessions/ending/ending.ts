import { adapterOf } from "../../../clients/adapters.ts";
import { endSigns, type EndSign, type Ending } from "../../../contract/ending.ts";
import { callKinds } from "../../../contract/turn-kinds.ts";
import type { Life, WorkState } from "../../../contract/work-state.ts";
import type { Sql } from "../../../shared/sql.ts";
import { sessions as table } from "../../../store/session-tables.ts";
import { currentState } from "../checkpoints/capture.ts";
import * as clients from "../clients.ts";
import * as journal from "../journal.ts";
import { isDead, type Machine } from "../life/presence.ts";
import * as life from "../life/row.ts";
import * as sessions from "../sessions.ts";
import type { Session } from "../sessions.ts";
import { causeOf } from "./cause.ts";
import { keepDeath } from "./death.ts";
import { hangUpMs, judge, type Ground, type Signs } from "./judge.ts";

/** Only reads. The session with its end as all that is known of it by now says. */
export function asSeen(sql: Sql, machine: Machine, session: Session): Session {
  const { ending } = session;
  if (ending === null ? !isDead(machine, session) : isFinal(sql, session, ending)) return session;
  return { ...session, ending: endingOf(sql, machine, session, ending?.signs ?? {}) };
}

function isFinal(sql: Sql, { id }: Session, { signs, isSettled, journalSeq }: Ending): boolean {
  return signs.left !== undefined || (isSettled && life.newestSeq(sql, id) <= journalSeq);
}

/**
 * Notes what was seen of the session's end, and how it is over by that; judges again without signs.
 *
 * @returns null: no end was seen, or it is not stored
 */
export function note(sql: Sql, machine: Machine, id: string, seen: Signs): Ending | null {
  const session = sessions.get(sql, id);
  if (session === null) return null;
  const before = session.ending?.signs ?? {};
  const signs = { ...seen, ...before, ...earlierOf(seen, before) };
  const ending = endingOf(sql, machine, session, signs);
  if (ending === null) return null;
  table.update(sql, { id }, { ending });
  keepDeath(sql, session, ending);
  return ending;
}

/** Two reports of one sign are one: the first one counts. */
function earlierOf(seen: Signs, before: Signs): Signs {
  const isEarlier = (sign: EndSign): boolean => (seen[sign]?.at ?? Infinity) < (before[sign]?.at ?? Infinity);
  return Object.fromEntries(endSigns.filter(isEarlier).map((sign) => [sign, seen[sign]]));
}

function endingOf(sql: Sql, machine: Machine, session: Session, signs: Signs): Ending | null {
  const stood = life.read(sql, session.id);
  const verdict = judge(signs, groundOf(sql, machine, session, stood, signs));
  if (verdict === null) return null;
  const { cause, detail } = causeOf(sql, machine, { session, stood, signs, verdict }) ?? { cause: null, detail: null };
  // The process lives for other sessions, and is no sign of this one.
  const isClosedThread = verdict.how === "closed" && adapterOf(session.client)?.threads !== undefined;
  const isSettled = verdict.how === "ended" || isClosedThread || signs.gone !== undefined;
  return { ...verdict, isSettled, cause, detail, signs, journalSeq: life.newestSeq(sql, session.id) };
}

function groundOf(sql: Sql, machine: Machine, session: Session, stood: Life | null, { gone }: Signs): Ground {
  const { id, client, lastSeenAt } = session;
  return {
    life: stood,
    isGone: gone !== undefined || isDead(machine, session),
    lastSeenAt,
    isSilent: isSilent(sql, session),
    isSeenByFront: adapterOf(client)?.endsSilently === true,
    hasOpenWork() {
      const state = currentState(sql, id);
      return state === null || state.damaged?.isAtEnd === true ? null : hasOpenWork(state);
    },
    // Older clients report a tool killed by the hangup as failed, and let the model answer first.
    wasCutOff(at) {
      const call = journal.latest(sql, id, ["tool_end", "tool_error"]);
      const isOfTurn = (call?.at ?? 0) >= (stood?.turn?.beganAt ?? 0);
      return call?.entry.kind === "tool_error" && isOfTurn && Math.abs(at - call.at) <= hangUpMs;
    },
    wasInCall: (at) =>
      journal
        .newest(sql, id, ["assistant", ...callKinds], maxSinceCall)
        .filter((row) => row.at <= at)
        .toSorted((one, other) => other.at - one.at || other.seq - one.seq)[0]?.entry.kind === "tool_start",
    isPersons: !session.isScripts,
  };
}

/** A call may be reported as ended after the end of its turn. */
const maxSinceCall = 20;

/**
 * The user has left the sessions of one process in which the last prompt was not made. A transcript
 * says no more of its session's end than that a turn was over.
 */
function isSilent(sql: Sql, session: Session): boolean {
  const { id, client, owner } = session;
  if (sessions.isOnlyImported(session)) return session.origin === sessions.importOrigin;
  const adapter = adapterOf(client);
  if (adapter?.endsSilently) return true;
  return adapter?.threads !== undefined && owner !== null && clients.current(sql, owner)?.session !== id;
}

/** Pure. Whether a session that is dead may have work to continue. */
export function mayBeContinued({ ending }: Pick<Session, "ending">): boolean {
  return ending?.isOpen !== false;
}

/** Whether the last turn ended with work left, in the background too, or a question to the user. */
function hasOpenWork({ todos, inProgress, openQuestions, words, prompts, background }: WorkState): boolean {
  if (background !== undefined && background.length > 0) return true;
  if (inProgress.length > 0 || openQuestions.length > 0) return true;
  if (todos.some(({ status }) => status !== "completed")) return true;
  const last = words.at(-1);
  return last !== undefined && last.at >= (prompts.at(-1)?.at ?? 0) && endsInQuestion(last.text);
}

/** Markdown marks and quotes may follow the question mark. */
function endsInQuestion(text: string): boolean {
  return /[?\uff1f\u061f][\s*_`"')\]\u201d\u00bb]*$/.test(text);
}
