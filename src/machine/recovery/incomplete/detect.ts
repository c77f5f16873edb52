import type { RegisteredChat } from "../../../contract/chat-state.ts";
import type { Chat } from "../../../contract/chats.ts";
import { isTaskPrompt } from "../../../contract/task-prompt.ts";
import { age } from "../../../shared/format.ts";
import type { Sql } from "../../../shared/sql.ts";
import { claim, holderOf, type Holder } from "../../sessions/life/claim.ts";
import { asSeen } from "../../sessions/ending/ending.ts";
import { isDead, maxSilenceMs, type Machine } from "../../sessions/life/presence.ts";
import type { Claim } from "../../sessions/recoveries.ts";
import * as sessions from "../../sessions/sessions.ts";

/** unknown: the chat never registered, or was forgotten; unreachable: no answer. */
export type ChatObservation =
  | ChatStatus
  | { readonly status: "unknown" }
  | { readonly status: "unreachable"; readonly why: string };

type ChatStatus = RegisteredChat & Pick<Chat, "lastSeenAgeMs">;

export interface Liveness {
  readonly isOver: boolean;
  /** The coordinator says that the chat is gone. */
  readonly isCertain: boolean;
  /** A process of its machine has seen that its process is gone. */
  readonly isAttested: boolean;
  readonly detail: string;
  /** The coordinator's view of a chat that is present; null: none. */
  readonly chat: RegisteredChat | null;
}

const offlineReasonText: Readonly<Record<string, string>> = {
  attested: "another SHIM process of its machine saw that its process is gone",
  closed: "its connection to the coordinator closed, and it did not come back",
  timeout: "the coordinator heard nothing more of it",
};

/** News that its machine has sent of a session. */
interface Sent {
  /** Time since the last of them, in ms. */
  readonly silenceMs: number;
  readonly hasDied: boolean;
}

const ended = { isOver: true, isCertain: true, isAttested: true, chat: null };
const noEndSeen = { isOver: false, isCertain: false, isAttested: false, chat: null };

/** Pure. */
export function livenessOf(observation: ChatObservation, sent: Sent): Liveness {
  const { status } = observation;
  if (status === "unknown") return livenessAsSent(sent, "The coordinator knows no chat of it");
  if (status === "unreachable")
    return { ...noEndSeen, detail: `Whether it lives is not known now: ${observation.why}.` };
  const heard = `heard ${age(observation.lastSeenAgeMs)} ago`;
  if (status !== "offline")
    return { ...noEndSeen, isCertain: true, detail: `It is ${status}, and was ${heard}.`, chat: observation };
  const { reason } = observation;
  const words = offlineReasonText[reason ?? ""];
  // The chat left, and its machine has not reported yet how the session ended.
  if (words === undefined) return livenessAsSent(sent, "Its chat left the workspace without an end of the session");
  return { ...ended, isAttested: reason === "attested", detail: `Last ${heard}: ${words}.` };
}

function livenessAsSent({ silenceMs, hasDied }: Sent, what: string): Liveness {
  if (hasDied) return { ...ended, detail: "Its machine reported its death." };
  const detail = `${what}; its machine sent nothing more of it for ${age(silenceMs)}.`;
  return { ...noEndSeen, isOver: silenceMs > maxSilenceMs, detail };
}

export interface IncompleteSession {
  /** With its end. */
  readonly session: sessions.Session;
  /** The chat that has the session in its context; null: the session is free. */
  readonly offer: Holder | null;
}

export interface SessionSearch {
  /** Null selects sessions without a project; absent: all. */
  readonly project?: string | null;
  /** Adds sessions made by tool calls (a client without hooks) if either has no project. */
  readonly isLoose?: boolean;
  readonly except?: string;
  readonly limit?: number;
  /** Sessions that a living chat was offered are left out. */
  readonly isFree?: true;
  /** Runs of scripts, too, after the chats of persons. Absent: as in {@link sessions.list}. */
  readonly withScripts?: boolean;
  readonly accepts?: (session: sessions.Session) => boolean;
}

/** Newest first. One that a living chat has taken is not listed. */
export function findIncomplete(sql: Sql, machine: Machine, search: SessionSearch = {}): IncompleteSession[] {
  const match = (session: sessions.Session): sessions.Session[] => {
    if (!matchesSearch(session, search) || !isDead(machine, session)) return [];
    const dead = asSeen(sql, machine, session);
    const isMatch =
      dead.ending?.how !== "ended" && sessions.hasContent(sql, dead.id) && (search.accepts?.(dead) ?? true);
    return isMatch && isListed(claim(sql, machine, dead.id), search) ? [dead] : [];
  };
  const limit = search.limit ?? 20;
  const matches: sessions.Session[] = [];
  const isFolded = sessions.foldsScripts(sql, search);
  for (const session of sessions.listOpen(sql, projectsOf(search))) {
    if (matches.length >= limit || (isFolded && session.isScripts)) break;
    matches.push(...match(session));
  }
  return matches.map((session) => ({ session, offer: holderOf(sql, machine, session.id) }));
}

function isListed(known: Claim | null, { isFree }: SessionSearch): boolean {
  return known === null || (known.is === "offered" && isFree !== true);
}

function projectsOf({ project, isLoose }: SessionSearch): (string | null)[] | undefined {
  if (project === undefined || (project === null && isLoose)) return undefined;
  return isLoose ? [project, null] : [project];
}

function matchesSearch(session: sessions.Session, search: SessionSearch): boolean {
  // Its worker continues it.
  if (session.id === search.except || isTaskPrompt(session.title ?? "")) return false;
  if (search.project === undefined || session.project === search.project) return true;
  const isWithoutProject = session.project === null || search.project === null;
  return search.isLoose === true && isWithoutProject && session.origin === "handle";
}

/** Adds sessions without a project in a client without hooks. */
export function searchFor(session: sessions.Session): SessionSearch {
  return { project: session.project, isLoose: session.origin === "handle" };
}
