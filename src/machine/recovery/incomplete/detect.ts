import { adapterOf } from "../../../clients/adapters.ts";
import type { RegisteredChat } from "../../../contract/chat-state.ts";
import type { Chat } from "../../../contract/chats.ts";
import type { CrashCause } from "../../../contract/readings.ts";
import { isTaskPrompt } from "../../../contract/task-prompt.ts";
import { oomKills, systemMemory } from "../../../platform/memory.ts";
import type { Processes } from "../../../platform/processes.ts";
import { age } from "../../../shared/format.ts";
import type { Sql } from "../../../shared/sql.ts";
import { hasContentSql } from "../../../store/session-tables.ts";
import { currentState } from "../../sessions/checkpoints/capture.ts";
import { closedReason, hasOpenWork, isClosed } from "../../sessions/activity.ts";
import * as clients from "../../sessions/clients.ts";
import * as journal from "../../sessions/journal.ts";
import { claim, holderOf, type Holder } from "../../sessions/life/claim.ts";
import { isDead, maxSilenceMs, type Machine } from "../../sessions/life/presence.ts";
import { failureOf, standingOf } from "../../sessions/life/questions.ts";
import * as life from "../../sessions/life/row.ts";
import type { Claim } from "../../sessions/recoveries.ts";
import * as sessions from "../../sessions/sessions.ts";
import { type Session, givenOrigin, importOrigin } from "../../sessions/sessions.ts";
import { inferCause } from "../../sessions/signals/crashes.ts";

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

/** Only reads. The session, if it is dead with the end that its client did not report. */
export function asSeen(sql: Sql, machine: Machine, session: Session): Session {
  if (session.endedAt !== null || !isDead(machine, session)) return session;
  if (!endsSilently(sql, session) || !isAfterTurn(sql, session.id)) return session;
  if (endsInOrder(session)) return { ...session, endedAt: session.lastSeenAt };
  if (isClosed(session)) return session;
  const detachReason = closing(sql, session);
  return detachReason === null ? session : { ...session, detachReason, detachedAt: session.lastSeenAt };
}

/** Reasons of an MCP process that was ended by a client which was alive. */
const orderlyReasons: ReadonlySet<string | null> = new Set(["stdin_end", "sigterm"]);

/** Its MCP process has seen what the client does not report. */
function endsInOrder({ client, detachReason }: Session): boolean {
  return adapterOf(client)?.endsSilently === true && orderlyReasons.has(detachReason);
}

/** By its own end, or by the user's. */
function isAfterTurn(sql: Sql, id: string): boolean {
  const how = life.read(sql, id)?.turn?.over?.how;
  return how === "done" || how === "interrupted";
}

/** Where no event says that a chat was closed, the end of its last turn does. */
function closing(sql: Sql, { id }: Session): string | null {
  const state = currentState(sql, id);
  const isLost = state?.damaged?.isAtEnd === true;
  return state === null || isLost ? null : closedReason(hasOpenWork(state));
}

/**
 * The user has left the sessions of one process in which the last prompt was not made. A transcript
 * says no more of its session's end than that a turn was over.
 */
function endsSilently(sql: Sql, { id, client, owner, detachReason }: Session): boolean {
  if (detachReason === importOrigin) return true;
  const adapter = adapterOf(client);
  if (adapter?.endsSilently) return true;
  return adapter?.hasThreads === true && owner !== null && clients.current(sql, owner)?.session !== id;
}

export interface IncompleteSession {
  readonly session: sessions.Session;
  readonly cause: CrashCause;
  readonly causeDetail: string;
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
  readonly accepts?: (session: sessions.Session) => boolean;
}

/** Newest first. One that a living chat has taken is not listed. */
export function findIncomplete(sql: Sql, machine: Machine, search: SessionSearch = {}): IncompleteSession[] {
  const match = (session: sessions.Session): sessions.Session[] => {
    if (!matchesSearch(session, search) || !isDead(machine, session)) return [];
    const dead = asSeen(sql, machine, session);
    const isMatch = dead.endedAt === null && hasContent(sql, dead.id) && (search.accepts?.(dead) ?? true);
    return isMatch && isListed(claim(sql, machine, dead.id), search) ? [dead] : [];
  };
  const limit = search.limit ?? 20;
  const matches: sessions.Session[] = [];
  for (const session of sessions.listOpen(sql, projectsOf(search))) {
    if (matches.length >= limit) break;
    matches.push(...match(session));
  }
  // Read once, not for each session: they are files of the system.
  const kills = matches.length === 0 ? null : oomKills(systemMemory);
  return matches.map((session) => {
    const { cause, causeDetail } = causeOf(sql, session, machine.processes, kills);
    return { session, cause, causeDetail, offer: holderOf(sql, machine, session.id) };
  });
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

export function hasContent(sql: Sql, sessionId: string): boolean {
  return sql.all(`SELECT 1 FROM sessions WHERE id = ? AND ${hasContentSql("sessions.id")}`, sessionId).length > 0;
}

export function causeOf(
  sql: Sql,
  session: sessions.Session,
  processes: Processes,
  kills = oomKills(systemMemory),
): { cause: CrashCause; causeDetail: string } {
  if (isClosed(session)) {
    const isRead = session.origin === importOrigin;
    const closed = "The client was closed, or asked to end, between two turns.";
    return { cause: "closed", causeDetail: isRead ? "By its imported transcript its last turn was over." : closed };
  }
  const stood = life.read(sql, session.id);
  const { cause, detail } = inferCause({
    readings: session.readings,
    lastFailure: failureOf(stood),
    detachReason: session.detachReason,
    isSameBoot: session.owner && session.owner.boot === processes.boot(),
    oomKillsBefore: session.readings.oomKills?.value ?? null,
    oomKillsNow: kills,
    hadRunningTool: stood !== null && standingOf(stood) === "running",
    hasEndHook: journal.newest(sql, session.id, ["start"], 1).length > 0,
  });
  const observedEnd = cause === "unknown" ? endsByReason.get(session.detachReason) : undefined;
  return observedEnd ?? { cause, causeDetail: detail };
}

const endsByReason: ReadonlyMap<string | null, { readonly cause: CrashCause; readonly causeDetail: string }> = new Map([
  // Written by SessionEnd: the client ended in order, but its work did not.
  [
    sessions.interruptedReason,
    { cause: "closed", causeDetail: "The client was closed, or asked to end, before its turn was over." },
  ],
  [
    importOrigin,
    { cause: "unknown", causeDetail: "Its transcript was imported, which does not say how the chat ended." },
  ],
  [
    givenOrigin,
    { cause: "closed", causeDetail: "It was handed over to this machine, where how its chat ended is not known." },
  ],
]);
