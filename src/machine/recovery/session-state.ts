import {
  causeText,
  presenceOf as presenceOfChat,
  stateOf,
  stateOfRegistered,
  type ChatFacts,
  type Presence,
  type RegisteredChat,
  type ShownClaim,
  type ShownState,
} from "../../contract/chat-state.ts";
import type { Chat } from "../../contract/chats.ts";
import type { CrashCause } from "../../contract/readings.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { claim } from "../sessions/life/claim.ts";
import { isDead, isOwnerSeen, type Machine } from "../sessions/life/presence.ts";
import { activityOf, factsOf } from "../sessions/life/questions.ts";
import { isClosedWithNothingOpen } from "../sessions/activity.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import { causeOf, hasContent, withSilentEnd, type Liveness } from "./incomplete/detect.ts";
import { hasContent as hasContentElsewhere, type SessionElsewhere } from "../sharing/sessions-elsewhere.ts";
import type { SeenElsewhere } from "./elsewhere/candidates.ts";

/** A reader does not store the end that a client did not report. */
export function asSeen(sql: Sql, machine: Machine, session: sessions.Session): sessions.Session {
  const isOpen = session.endedAt === null;
  return isOpen && isDead(machine, session) ? withSilentEnd(sql, session) : session;
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
  const isRead = session.origin === sessions.importOrigin && session.owner === null;
  const readCause = isRead ? causeOf(sql, session, machine.processes).cause : null;
  return {
    ...endFacts(session),
    claim: shownClaim(sql, machine, session.id),
    hasContent: hasContent(sql, session.id),
    isOnlyRead: readCause === "unknown" || readCause === "closed",
    presence: presenceOf(sql, machine, session, { isDraining: chat?.status === "draining", cause: readCause }),
  };
}

/** For a session of another machine. */
export function readStateElsewhere(sql: Sql, machine: Machine, { row, liveness, taken }: SeenElsewhere): ShownState {
  return stateOf({
    ...endFacts(row),
    claim: claimElsewhere(sql, row, taken) ?? shownClaim(sql, machine, row.id),
    hasContent: hasContentElsewhere(row),
    presence: liveness === null ? { is: "gone", cause: null } : presenceElsewhere(row, liveness, machine.now()),
  });
}

function endFacts(session: sessions.Session): Pick<ChatFacts, "end" | "isClosed"> {
  return { end: session.endedAt === null ? null : "finished", isClosed: isClosedWithNothingOpen(session) };
}

function shownClaim(sql: Sql, machine: Machine, session: string): ShownClaim | null {
  const known = claim(sql, machine, session);
  if (known === null) return null;
  const { is, by, at } = known;
  const chat = by && shortSessionId(sql, by);
  if (is === "dismissed") return { is };
  return is === "offered" && chat !== null ? { is, chat, msAgo: machine.now() - at } : { is: "continued", chat };
}

/** By its own machine, and by the workspace. */
function claimElsewhere(sql: Sql, { recovery }: SessionElsewhere, taken: SeenElsewhere["taken"]): ShownClaim | null {
  if (recovery === "dismissed") return { is: "dismissed" };
  if (taken !== null) return { is: "continued", chat: `${shortSessionId(sql, taken.chat)} on ${taken.machine}` };
  return recovery === "recovered" ? { is: "continued", chat: null } : null;
}

interface KnownOfChat {
  readonly isDraining: boolean;
  /** Cause of its end; null: to be found out, where it is gone. */
  readonly cause: CrashCause | null;
}

function presenceOf(sql: Sql, machine: Machine, session: sessions.Session, known: KnownOfChat): Presence {
  const now = machine.now();
  if (!isDead(machine, session)) {
    const facts = factsOf(sql, session, { isDead: false, now });
    return {
      is: "alive",
      activity: activityOf(facts),
      waitsFor: facts.life?.asks?.for ?? null,
      isDraining: known.isDraining,
    };
  }
  if (!isOwnerSeen(machine, session) && session.detachedAt === null)
    return { is: "silent", silenceMs: now - session.lastSeenAt };
  return { is: "gone", cause: causeText(known.cause ?? causeOf(sql, session, machine.processes).cause) };
}

function presenceElsewhere(row: SeenElsewhere["row"], { isOver, isCertain, chat }: Liveness, now: number): Presence {
  const { death } = row.sealed;
  if (chat !== null) return presenceOfChat(chat);
  const silenceMs = Math.max(0, now - row.lastSeenAt);
  if (!isCertain) return { is: isOver ? "silent" : "unheard", silenceMs };
  return { is: "gone", cause: death ? causeText(death.cause) : null };
}
