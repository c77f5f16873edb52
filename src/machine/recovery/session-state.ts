import {
  causeText,
  presenceOf as presenceOfChat,
  stateOf,
  stateOfRegistered,
  type ChatFacts,
  type Presence,
  type RegisteredChat,
  type ShownState,
} from "../../contract/chat-state.ts";
import type { Chat } from "../../contract/chats.ts";
import type { CrashCause } from "../../contract/readings.ts";
import { isInOtherNamespace } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { activityOf, factsOf } from "../sessions/life/questions.ts";
import { isClosedWithNothingOpen } from "../sessions/activity.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import {
  causeOf,
  findOpenOffer,
  hasContent,
  offerOf,
  type OpenOffer,
  withSilentEnd,
  isDead,
  type Liveness,
} from "./incomplete/detect.ts";
import { hasContent as hasContentElsewhere } from "../sharing/sessions-elsewhere.ts";
import type { SeenElsewhere } from "./elsewhere/candidates.ts";

type Machine = Pick<Runtime, "processes" | "now">;

/** A reader does not store the end that a client did not report. */
export function asSeen(sql: Sql, machine: Machine, session: sessions.Session): sessions.Session {
  const isOpen = session.endedAt === null;
  return isOpen && isDead(session, machine.processes, machine.now()) ? withSilentEnd(sql, session) : session;
}

/** Whether its client runs, as far as this machine can see. */
export function isAlive({ processes, now }: Machine, session: sessions.Session): boolean {
  return session.endedAt === null && !isDead(session, processes, now());
}

/** For a session of this machine. @param chat the same chat in the coordinator's registry */
export function readState(
  sql: Sql,
  machine: Machine,
  stored: sessions.Session,
  chat?: Pick<RegisteredChat, "status">,
): ShownState {
  return stateOf(readFacts(sql, machine, stored, chat));
}

/** This machine knows more of its own sessions than the coordinator does. */
export function readChatState(machine: Machine & Pick<Runtime, "store">, chat: Chat): ShownState {
  const known = machine.store.read((sql) => {
    const session = sessions.get(sql, chat.chat);
    return session && readState(sql, machine, session, chat);
  }, null);
  return known ?? stateOfRegistered(chat);
}

function readFacts(
  sql: Sql,
  machine: Machine,
  stored: sessions.Session,
  chat: Pick<RegisteredChat, "status"> | undefined,
): ChatFacts {
  const session = asSeen(sql, machine, stored);
  const offer = offerOf(sql, machine.processes, machine.now(), session);
  const isRead = session.origin === sessions.importOrigin && session.owner === null;
  const readCause = isRead ? causeOf(sql, session, machine.processes).cause : null;
  const continuing = session.recovery === "recovered" ? session.recoveryBy : offer?.isTaken ? offer.chat : null;
  return {
    ...sharedFacts(sql, machine, session, offer?.isTaken ? null : offer),
    continuedBy: continuing && shortSessionId(sql, continuing),
    hasContent: hasContent(sql, session.id),
    isOnlyRead: readCause === "unknown" || readCause === "closed",
    presence: presenceOf(sql, machine, session, { isDraining: chat?.status === "draining", cause: readCause }),
  };
}

/** For a session of another machine. */
export function readStateElsewhere(sql: Sql, machine: Machine, { row, liveness, taken }: SeenElsewhere): ShownState {
  const now = machine.now();
  return stateOf({
    ...sharedFacts(sql, machine, row, findOpenOffer(sql, machine.processes, now, row.id)),
    continuedBy: taken && `${shortSessionId(sql, taken.chat)} on ${taken.machine}`,
    hasContent: hasContentElsewhere(row),
    presence: liveness === null ? { is: "gone", cause: null } : presenceElsewhere(row, liveness, now),
  });
}

function sharedFacts(
  sql: Sql,
  { now }: Machine,
  session: sessions.Session,
  offer: OpenOffer | null,
): Pick<ChatFacts, "end" | "recovery" | "offer" | "isClosed"> {
  return {
    end: session.endedAt === null ? null : "finished",
    recovery: session.recovery,
    offer: offer && { chat: shortSessionId(sql, offer.chat), msAgo: now() - offer.at },
    isClosed: isClosedWithNothingOpen(session),
  };
}

interface KnownOfChat {
  readonly isDraining: boolean;
  /** Cause of its end; null: to be found out, where it is gone. */
  readonly cause: CrashCause | null;
}

function presenceOf(sql: Sql, machine: Machine, session: sessions.Session, known: KnownOfChat): Presence {
  const { processes } = machine;
  const now = machine.now();
  if (!isDead(session, processes, now)) {
    const facts = factsOf(sql, session, { isDead: false, now });
    return {
      is: "alive",
      activity: activityOf(facts),
      waitsFor: facts.life?.asks?.for ?? null,
      isDraining: known.isDraining,
    };
  }
  const isSeen = session.owner !== null && !isInOtherNamespace(processes, session.owner);
  if (!isSeen && session.detachedAt === null) return { is: "silent", silenceMs: now - session.lastSeenAt };
  return { is: "gone", cause: causeText(known.cause ?? causeOf(sql, session, processes).cause) };
}

function presenceElsewhere(row: SeenElsewhere["row"], { isOver, isCertain, chat }: Liveness, now: number): Presence {
  const { death } = row.sealed;
  if (chat !== null) return presenceOfChat(chat);
  const silenceMs = Math.max(0, now - row.lastSeenAt);
  if (!isCertain) return { is: isOver ? "silent" : "unheard", silenceMs };
  return { is: "gone", cause: death ? causeText(death.cause) : null };
}
