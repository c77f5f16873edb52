import type { Failure } from "../../contract/errors.ts";
import type { ListedSession } from "../../contract/tools.ts";
import type { OpenedLink } from "../../coordinator-client/client.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { ok, type Result } from "../../shared/result.ts";
import { claim, continues, holderOf, successorText, type Holder } from "../sessions/life/claim.ts";
import { isAlive } from "../sessions/life/presence.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { findStoredSession } from "../sessions/session-identity.ts";
import * as elsewhere from "../sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "../sharing/sessions-elsewhere.ts";
import { neutralize } from "../sessions/text/neutralize.ts";
import { composeBrief, type Brief } from "./brief/brief.ts";
import { findById, findElsewhere, seeOne, type SeenElsewhere, type Reach } from "./elsewhere/candidates.ts";
import { restoreElsewhere, giveBack, takeOver } from "./elsewhere/restoration.ts";
import { findIncomplete, searchFor } from "./incomplete/detect.ts";
import { restore, type Restoration } from "./incomplete/restoration.ts";
import { acquireLease, fetchHolder, leaseRefusal } from "./incomplete/session-lease.ts";
import { withLearnt } from "./learnt/session-items.ts";
import * as marks from "./marks.ts";
import { offer, offerNewest } from "./offers.ts";

export interface RecoveryScope {
  /** Absent: a command of the user, who may continue any session that does not run. */
  readonly chat?: Session;
  /** The way to other machines; null: the sessions of this one alone. */
  readonly reach: Reach | null;
  /** The chat's link to its workspace; absent: none. */
  readonly openLink?: () => Promise<OpenedLink | null>;
}

/** By its machine differ only how it is known to live, how it is restored, and how it is taken. */
type Found =
  | { readonly row: Session; readonly reach: null }
  | { readonly row: SessionElsewhere; readonly reach: Reach };

/** Sessions of this machine and of others, for a chat or a command of this one. */
export class RecoverySource {
  readonly #runtime: Runtime;
  readonly #scope: RecoveryScope;
  #deadElsewhere: Promise<SeenElsewhere[]> | null = null;

  constructor(runtime: Runtime, scope: RecoveryScope) {
    this.#runtime = runtime;
    this.#scope = scope;
  }

  /** Sessions that died unfinished, newest first; those of this machine before others. */
  async list(limit: number): Promise<ListedSession[]> {
    const { store } = this.#runtime;
    const { chat } = this.#scope;
    const dead = await this.#findElsewhere();
    return store.read((sql) => {
      const search = { limit, ...(chat ? { except: chat.id } : {}) };
      const here = findIncomplete(sql, this.#runtime, search)
        .map(({ session, offer: given }) => this.#toListed(session, session.ending?.cause ?? "unknown", given))
        .toSorted((one, other) => Number(other.offeredHere ?? 0) - Number(one.offeredHere ?? 0));
      const there = dead.map(({ row, liveness }) => {
        const cause = liveness?.isCertain ? "died" : "not heard of";
        return this.#toListed(row, cause, holderOf(sql, this.#runtime, row.id));
      });
      return [...here, ...there].slice(0, limit);
    }, []);
  }

  /** Offers the chat the newest of its project, of this machine first; once, however often. */
  async offer(): Promise<Brief | null> {
    const { chat, reach } = this.#scope;
    if (!chat) return null;
    // The offer stands until this chat's first checkpoint completes the succession.
    const [row] = this.#runtime.store.read(
      (sql) => recoveries.heldBy(sql, chat.id).flatMap(({ session }) => sessions.get(sql, session) ?? []),
      [],
    );
    const offered = row ? await this.#brief({ row, reach: null }) : null;
    const own = offered ?? offer(this.#runtime, chat.id, searchFor(chat))?.brief ?? null;
    return own ?? (reach && offerNewest(reach, await this.#findElsewhere()));
  }

  /** Accepts a unique beginning of an id. Null: unknown here. */
  async inspect(id: string): Promise<Result<Brief | null>> {
    const own = findStoredSession(this.#runtime, id);
    if (!own.ok) return own;
    const found = own.value ? { row: own.value, reach: null } : this.#findById(id);
    return ok(found && (await this.#brief(found)));
  }

  /** Returns why the session cannot be taken, or null. */
  async check(id: string): Promise<Failure | null> {
    const found = this.#get(id);
    if (!found || this.#isTaken(found)) return null;
    const { row, reach } = found;
    return reach ? whyNotElsewhere(reach, row) : whyNotHere(this.#runtime, row, this.#scope.chat?.id ?? null);
  }

  /** Makes the session this chat's; a repetition changes nothing. */
  async claim({ from, score }: Brief): Promise<Failure | null> {
    const { chat, openLink } = this.#scope;
    const { id: session } = from.session;
    const found = this.#get(session);
    const refusal = await this.check(session);
    if (refusal || !chat || !found || this.#isTaken(found)) return refusal;
    if (found.reach) {
      const taken = await takeOver(found.reach, found.row);
      return taken.ok ? null : taken.error;
    }
    const held = await leaseHeld((await openLink?.()) ?? null, session, chat.id);
    if (held !== null) return held;
    const taken = marks.take(this.#runtime, { session, to: chat.id, score: score.total });
    return taken.ok ? null : taken.error;
  }

  dismiss(session: string): void {
    marks.dismiss(this.#runtime, session);
  }

  /** Takes back an offer, a claim or a dismissal. False: there was none. */
  async release(session: string): Promise<Result<boolean>> {
    const found = this.#get(session);
    const known = this.#runtime.store.read((sql) => recoveries.claimOf(sql, session), null);
    const isTaken = found?.reach && (found.row.taken !== null || known?.is === "taken");
    return isTaken ? giveBack(found.reach, found.row) : ok(marks.undo(this.#runtime, session));
  }

  #findElsewhere(): Promise<SeenElsewhere[]> {
    const { reach } = this.#scope;
    this.#deadElsewhere ??= reach ? findElsewhere(reach) : Promise.resolve([]);
    return this.#deadElsewhere;
  }

  #get(id: string): Found | null {
    const row = this.#runtime.store.read((sql) => sessions.get(sql, id), null);
    return row ? { row, reach: null } : this.#findById(id);
  }

  #findById(id: string): Found | null {
    const { reach } = this.#scope;
    const row = reach && findById(reach, id);
    return row && { row, reach };
  }

  async #brief({ row, reach }: Found): Promise<Brief | null> {
    const from = reach ? await restoreElsewhere(reach, await seeOne(reach, row)) : this.#restoreHere(row);
    return from && composeBrief(from, this.#runtime.now());
  }

  #restoreHere(row: Session): Restoration | null {
    const from = restore(this.#runtime, row);
    return from && withLearnt(this.#runtime, from);
  }

  /** Whether this chat has taken a session of another machine, which says so to all. */
  #isTaken({ row, reach }: Found): boolean {
    return reach !== null && !elsewhere.isOver(row) && row.taken?.chat === reach.chatId;
  }

  /** @param cause in words for the chat */
  #toListed(session: Session | SessionElsewhere, cause: string, given: Holder | null): ListedSession {
    const now = this.#runtime.now();
    const isHere = given?.chat === this.#scope.chat?.id;
    const toOther = given && { offeredTo: given.chat, offeredMsAgo: now - given.at };
    return {
      session: session.id,
      title: neutralize(sessions.displayTitle(session) ?? "untitled"),
      diedMsAgo: now - session.lastSeenAt,
      cause,
      project: session.project ?? "",
      ...(session.machine === null ? {} : { machine: session.machine }),
      ...(given && isHere ? { offeredHere: true } : toOther),
    };
  }
}

function refusal(code: Failure["code"], session: string, why: string): Failure {
  return { code, message: `${session} ${why}` };
}

/** @param chatId null: a command of the user, who may continue what has ended or is continued */
function whyNotHere(runtime: Runtime, row: Session, chatId: string | null): Failure | null {
  const { id, ending, owner } = row;
  if (id === chatId) return refusal("this_chat", id, "is this chat itself.");
  if (chatId !== null && ending?.how === "ended")
    return refusal("finished", id, "was finished: there is nothing to continue.");
  if (isAlive(runtime, row))
    return refusal("still_running", id, `is still running${owner ? ` (pid ${owner.pid})` : ""}.`);
  const known = runtime.store.read((sql) => claim(sql, runtime, id), null);
  if (chatId === null || !continues(known) || known.by === chatId) return null;
  return refusal("held", id, successorText(id, { chat: known.by, machine: null, isHere: true }));
}

async function whyNotElsewhere(reach: Reach, row: SessionElsewhere): Promise<Failure | null> {
  const { id, machine } = row;
  const { liveness, taken } = await seeOne(reach, row);
  const holder = await fetchHolder(reach.link, id);
  if (elsewhere.isOver(row))
    return refusal("finished", id, `was finished on ${machine}: there is nothing to continue.`);
  if (reach.isStale)
    return refusal("unreachable", id, "is not taken: whether another chat continues it is not known now.");
  if (liveness?.isOver === false)
    return refusal("still_running", id, `is not known to be dead on ${machine}: ${liveness.detail}`);
  // The dead chat may still count as alive.
  const isHeld = holder !== null && ![id, reach.chatId].includes(holder.chat);
  const successor = isHeld ? holder : taken;
  return successor && refusal("held", id, successorText(id, successor));
}

/**
 * A succession in a workspace needs the session's lease; without a connection, this machine's
 * process table decides.
 */
async function leaseHeld(opened: OpenedLink | null, session: string, chatId: string): Promise<Failure | null> {
  if (!opened?.link.self) return null;
  const lease = await acquireLease(opened.link, session);
  const holder = lease.ok ? null : lease.error.holder;
  // The dead chat may still count as alive.
  if (holder === null || [session, chatId].includes(holder.chat)) return null;
  return leaseRefusal(session, opened.machine, holder);
}
