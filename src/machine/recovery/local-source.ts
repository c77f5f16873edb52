import type { ListedSession } from "../../contract/tools.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { findStoredSession } from "../sessions/short-ids.ts";
import * as news from "../sessions/news.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { neutralize } from "../text/neutralize.ts";
import { recordDeath } from "./incomplete/deaths.ts";
import { composeBrief, type Brief } from "./brief/brief.ts";
import {
  findIncomplete,
  findOpenOffer,
  searchFor,
  type IncompleteSession,
  type OpenOffer,
} from "./incomplete/detect.ts";
import { offer, recordOffer, type OfferNote } from "./offers.ts";
import { restore, type Restoration } from "./incomplete/restoration.ts";
import { acquireLease } from "./incomplete/session-lease.ts";
import type { RecoverySource } from "./source.ts";
import { leaseRefusal, verdict, type Refusal, type SessionFacts } from "./incomplete/verdict.ts";

/** No other chat is offered the session while the chat `by` lives. */
export function take(runtime: Runtime, given: OfferNote, limit?: recoveries.LimitHandOver): void {
  const at = runtime.now();
  const { session: sessionId, to: by } = given;
  runtime.store.write((sql) => {
    const known = sessions.get(sql, sessionId);
    const offer = findOpenOffer(sql, runtime.processes, at, sessionId);
    if (offer !== null && offer.chat !== by) {
      const text = `Session ${sessionId}, which this chat was offered, is continued by chat ${by} now: leave it alone.`;
      news.add(sql, at, offer.chat, `taken:${sessionId}:${by}`, { kind: "notice", text });
    }
    if (known?.recovery !== "offered" || known.recoveryBy !== by) recordOffer(sql, runtime, given);
    if (!recoveries.isTaken(sql, sessionId, by))
      recoveries.add(sql, { at, session: sessionId, action: "taken", by, limit });
  });
}

/** @returns whether there was an offer, recovery or dismissal to undo */
export function undo(runtime: Runtime, sessionId: string): boolean {
  const now = runtime.now();
  return runtime.store.write((sql) => {
    const session = sessions.get(sql, sessionId);
    if (!session?.recovery) return false;
    sessions.setRecovery(sql, now, sessionId, null, null);
    recoveries.add(sql, { at: now, session: sessionId, action: "undone" });
    return true;
  });
}

/** Returns false for an unknown session. Retention deletes a dismissed one. */
export function dismiss(runtime: Runtime, sessionId: string): boolean {
  const now = runtime.now();
  return runtime.store.write((sql) => {
    if (!sessions.get(sql, sessionId)) return false;
    recordDeath(sql, runtime, sessionId);
    sessions.setRecovery(sql, now, sessionId, "dismissed", null);
    recoveries.add(sql, { at: now, session: sessionId, action: "dismissed" });
    return true;
  });
}

/** @returns whether the chat has never begun, so that the session is free again */
export function withdrawOffer(runtime: Runtime, sessionId: string, newId: string): boolean {
  const isUnused = runtime.store.read(
    (sql) => sessions.get(sql, newId) === null && sessions.get(sql, sessionId)?.recoveryBy === newId,
    false,
  );
  return isUnused && undo(runtime, sessionId);
}

/**
 * The sessions of this machine.
 * @param chat null: a command of the user, who may continue any session that does not run
 */
export function localSource(
  runtime: Runtime,
  chat: sessions.Session | null,
  openLink: () => Promise<OpenedLink | null> = () => Promise.resolve(null),
): RecoverySource {
  const { store, processes } = runtime;
  const check = (from: Restoration): Refusal | null => verdict(factsOf(from, chat?.id ?? null));
  return {
    list: (limit) => {
      const search = { limit, ...(chat ? { except: chat.id } : {}) };
      const now = runtime.now();
      return Promise.resolve(
        store.read((sql) => {
          const listed = findIncomplete(sql, processes, now, search).map((one) => toListed(one, now, chat?.id));
          return listed.toSorted((one, other) => Number(other.offeredHere ?? 0) - Number(one.offeredHere ?? 0));
        }, []),
      );
    },
    offer: () => Promise.resolve(chat && findOffer(runtime, chat)),
    inspect: (id) => Promise.resolve(inspect(runtime, id)),
    check: (from) => Promise.resolve(check(from)),
    claim: async ({ from, score }) => {
      const refusal = check(from);
      const { id: session, recovery } = from.session;
      if (refusal || chat === null || recovery === "recovered") return refusal;
      const held = await leaseHeld(await openLink(), session, chat.id);
      if (held === null) take(runtime, { session, to: chat.id, score: score.total });
      return held;
    },
    dismiss: (session) => void dismiss(runtime, session),
    release: (session) => Promise.resolve(ok(undo(runtime, session))),
  };
}

/** @param one of any machine; `cause` is a word for the chat */
export function toListed(
  { session, cause, offer }: Pick<IncompleteSession, "session" | "offer"> & Pick<ListedSession, "cause">,
  now: number,
  chat?: string,
): ListedSession {
  return {
    session: session.id,
    title: neutralize(sessions.displayTitle(session) ?? "untitled"),
    diedMsAgo: now - session.lastSeenAt,
    cause,
    project: session.project ?? "",
    ...offerFields(offer, now, chat),
  };
}

function offerFields(
  offer: OpenOffer | null,
  now: number,
  chat?: string,
): Pick<ListedSession, "offeredHere" | "offeredTo" | "offeredMsAgo"> {
  if (offer === null) return {};
  return offer.chat === chat ? { offeredHere: true } : { offeredTo: offer.chat, offeredMsAgo: now - offer.at };
}

/** The offer stands until this chat's first checkpoint completes the succession. */
function findOffer(runtime: Runtime, chat: sessions.Session): Brief | null {
  const [offered = null] = runtime.store.read((sql) => sessions.listOfferedTo(sql, chat.id), []);
  const from = offered && restore(runtime, offered);
  return from ? composeBrief(from, runtime.now()) : (offer(runtime, chat.id, searchFor(chat))?.brief ?? null);
}

function inspect(runtime: Runtime, id: string): Result<Brief | null, Refusal> {
  const found = findStoredSession(runtime, id);
  if (!found.ok) return found;
  const from = found.value && restore(runtime, found.value);
  return ok(from && composeBrief(from, runtime.now()));
}

function factsOf({ session, cause }: Restoration, chatId: string | null): SessionFacts {
  const { id, endedAt, recovery, recoveryBy, owner } = session;
  const isAlive = cause === null && endedAt === null;
  const alive = isAlive ? `is still running${owner ? ` (pid ${owner.pid})` : ""}.` : null;
  const life = { session: id, machine: null, alive };
  if (chatId === null) return { ...life, isEnded: false, successor: null };
  const isContinued = recovery === "recovered" && recoveryBy !== null && recoveryBy !== chatId;
  const successor = isContinued ? ({ chat: recoveryBy, machine: null, isHere: true } as const) : null;
  return { ...life, isThisChat: id === chatId, isEnded: endedAt !== null, successor };
}

/**
 * A succession in a workspace needs the session's lease; without a connection, this
 * machine's process table decides.
 */
async function leaseHeld(opened: OpenedLink | null, session: string, chatId: string): Promise<Refusal | null> {
  if (!opened?.link.self) return null;
  const lease = await acquireLease(opened.link, session);
  const holder = lease.ok ? null : lease.error.holder;
  // The dead chat may still count as alive.
  if (holder === null || [session, chatId].includes(holder.chat)) return null;
  return leaseRefusal(session, opened.machine, holder);
}
