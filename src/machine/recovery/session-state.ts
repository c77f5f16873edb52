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
import { notedEnd, type Ending } from "../../contract/ending.ts";
import type { SessionView } from "../../contract/machine/sessions.ts";
import type { Life } from "../../contract/work-state.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { claim } from "../sessions/life/claim.ts";
import { isAlive, isOwnerSeen, type Machine } from "../sessions/life/presence.ts";
import { activityOf } from "../sessions/activity/activity.ts";
import { needOf } from "../sessions/life/questions.ts";
import * as life from "../sessions/life/row.ts";
import { isOnlyRead } from "../sessions/ending/death.ts";
import { asSeen } from "../sessions/ending/ending.ts";
import * as sessions from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import { hasContent as hasContentElsewhere, type SessionElsewhere } from "../sharing/sessions-elsewhere.ts";
import type { SeenElsewhere } from "./elsewhere/candidates.ts";

/** How a session stands, for all that is shown of it. */
type Stands = ShownState & Pick<SessionView, "isAlive" | "cause" | "causeDetail">;

interface StandsHere extends Stands {
  /** With the end that its client did not report. */
  readonly session: sessions.Session;
  /** Null for a session that is over. */
  readonly life: Life | null;
}

/** For a session of this machine. @param chat the same chat in the coordinator's registry */
export function readState(
  sql: Sql,
  machine: Machine,
  stored: sessions.Session,
  chat?: Pick<RegisteredChat, "status">,
): StandsHere {
  const session = asSeen(sql, machine, stored);
  const { id, ending } = session;
  const runs = isAlive(machine, stored);
  const known = shownClaim(sql, machine, id);
  const isKept = sessions.hasContent(sql, id);
  const death = !runs && isKept && ending !== null && ending.cause !== null ? ending : null;
  const stood = runs ? life.read(sql, id) : null;
  const presence = runs
    ? presenceAlive(sql, session, stood, { now: machine.now(), isDraining: chat?.status === "draining" })
    : presenceOver(machine, session);
  const shown = stateOf({
    ...endFacts(session),
    claim: known,
    hasContent: isKept,
    isOnlyRead: isOnlyRead(session),
    presence,
  });
  const { cause, detail: causeDetail } = death ?? { cause: null, detail: null };
  return { ...shown, session, isAlive: runs && shown.state !== "ended", cause, causeDetail, life: stood };
}

/** This machine knows more of its own sessions than the coordinator does. */
export function readChatState(machine: Machine & Pick<Runtime, "store">, chat: Chat): ShownState {
  const known = machine.store.read((sql) => {
    const session = sessions.get(sql, chat.chat);
    return session && readState(sql, machine, session, chat);
  }, null);
  return known ? { state: known.state, detail: known.detail } : stateOfRegistered(chat);
}

/** For a session of another machine. */
export function readStateElsewhere(sql: Sql, machine: Machine, { row, liveness, taken }: SeenElsewhere): Stands {
  const shown = stateOf({
    ...endFacts(row),
    claim: claimElsewhere(sql, row, taken) ?? shownClaim(sql, machine, row.id),
    hasContent: hasContentElsewhere(row),
    presence: presenceElsewhere(row, liveness, machine.now()),
  });
  const isPresent = liveness !== null && liveness.chat !== null;
  return {
    ...shown,
    isAlive: isPresent,
    cause: notedEnd(row.ending)?.cause ?? null,
    causeDetail: liveness?.detail ?? null,
  };
}

function endFacts({ ending }: sessions.Session): Pick<ChatFacts, "end" | "isClosed"> {
  return { end: ending?.how === "ended" ? "finished" : null, isClosed: ending?.how === "closed" && !ending.isOpen };
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

function presenceAlive(
  sql: Sql,
  session: sessions.Session,
  stood: Life | null,
  { now, isDraining }: { readonly now: number; readonly isDraining: boolean },
): Presence {
  const activity = activityOf(sql, session, stood, now);
  return { is: "alive", activity, waitsFor: needOf(stood)?.for ?? null, isDraining };
}

function presenceOver(machine: Machine, session: sessions.Session): Presence {
  const { ending, lastSeenAt } = session;
  // A process that is not seen, and silence alone.
  const isUnseen = !isOwnerSeen(machine, session) && !sessions.isOnlyImported(session) && isBySilence(ending);
  if (isUnseen) return { is: "silent", silenceMs: machine.now() - lastSeenAt };
  const cause = ending?.cause ?? null;
  return { is: "gone", cause: cause && causeText(cause) };
}

function isBySilence(ending: Ending | null): boolean {
  return ending?.how === "died" && Object.keys(ending.signs).every((sign) => sign === "gone");
}

function presenceElsewhere(row: SessionElsewhere, liveness: SeenElsewhere["liveness"], now: number): Presence {
  if (liveness === null) return { is: "gone", cause: null };
  const { isOver, isCertain, chat } = liveness;
  if (chat !== null) return presenceOfChat(chat);
  const death = notedEnd(row.ending);
  if (isCertain) return { is: "gone", cause: death?.cause ? causeText(death.cause) : null };
  return { is: isOver ? "silent" : "unheard", silenceMs: Math.max(0, now - row.lastSeenAt) };
}
