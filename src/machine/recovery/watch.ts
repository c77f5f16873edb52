import { isTransient } from "../../contract/errors.ts";
import type { Sql } from "../../shared/sql.ts";
import * as news from "../sessions/news.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import * as elsewhere from "../sharing/sessions-elsewhere.ts";
import { acquireLease, fetchHolder, releaseLease } from "./incomplete/session-lease.ts";
import { offerElsewhere } from "./offers.ts";
import { projectHere, type ProjectNaming, type Reach } from "./elsewhere/reach.ts";
import { takeOver } from "./elsewhere/takeover.ts";

/** A chat that has just died counts as alive for a while, and its record arrives later. */
const maxOfferSearchMs = 300_000;

/** Watches the other machines for one chat: what it may continue, and what it has taken. */
export class WatchElsewhere {
  /** Fencing tokens, by session. */
  readonly #leases = new Map<string, number>();
  #firstCheckAt: number | null = null;
  #isOfferDue = true;
  #checking: Promise<void> | null = null;

  /** Called every few seconds once the chat is registered; one check runs at a time. */
  check(reach: Reach, naming: ProjectNaming): Promise<void> {
    this.#checking ??= this.#check(reach, naming).finally(() => (this.#checking = null));
    return this.#checking;
  }

  async #check(reach: Reach, naming: ProjectNaming): Promise<void> {
    if (reach.link.self === null) return;
    await this.#keepLeases(reach);
    if (!this.#isOfferDue) return;
    const now = reach.runtime.now();
    this.#firstCheckAt ??= now;
    const here = await projectHere(naming, projectToOffer(reach));
    const isOver = here === null || now - this.#firstCheckAt > maxOfferSearchMs;
    if (isOver || (await offerElsewhere({ ...reach, here })) !== null) this.#isOfferDue = false;
  }

  /** Notes in the store, made by the chat's tool or `shim resume`, decide; the leases follow. */
  async #keepLeases(reach: Reach): Promise<void> {
    const taken = new Set(reach.runtime.store.read((sql) => takenBy(sql, reach.chatId), []));
    for (const [session, token] of this.#leases) {
      if (taken.has(session)) continue;
      this.#leases.delete(session);
      await releaseLease(reach.link, session, token);
    }
    for (const session of taken) await this.#keepLease(reach, session);
  }

  /** Regains a lease that was lost while offline; a repeated request gets the same grant. */
  async #keepLease(reach: Reach, session: string): Promise<void> {
    const { runtime, workspace, link } = reach;
    const lease = await acquireLease(link, session);
    if (lease.ok && this.#leases.get(session) === lease.value) return;
    this.#leases.delete(session);
    const [row] = runtime.store.read((sql) => elsewhere.list(sql, workspace, { session }), []);
    const taken = row && (await takeOver(reach, row));
    if (taken?.ok) this.#leases.set(session, taken.value);
    // A failure that may pass is tried again with the next check.
    else if (taken && !isTransient(taken.error)) await letGo(reach, session, taken.error.message);
  }
}

/** No hook brings an offer to a chat without hooks; it asks by its tool. */
function projectToOffer({ runtime, chatId }: Reach): string | null {
  const chat = runtime.store.read((sql) => sessions.get(sql, chatId), null);
  return chat && chat.origin !== "handle" ? chat.project : null;
}

async function letGo({ runtime, link, chatId }: Reach, session: string, why: string): Promise<void> {
  const holder = await fetchHolder(link, session);
  // The session's own chat counts as alive for a while after its death.
  if (holder?.chat === session) return;
  const at = runtime.now();
  const notice: news.News =
    holder === null
      ? { kind: "notice", text: why }
      : { kind: "continued_elsewhere", session, by: holder.chat, machine: holder.machine ?? "another machine" };
  runtime.store.write((sql) => {
    recoveries.add(sql, { at, session, action: "undone" });
    news.add(sql, at, chatId, `taken:${session}:${at}`, notice);
  });
}

function takenBy(sql: Sql, chat: string): string[] {
  return sql
    .all<{ id: string }>(
      `SELECT DISTINCT s.id FROM sessions_elsewhere s JOIN recoveries r ON r.session = s.id
       WHERE r.seq = (SELECT max(seq) FROM recoveries WHERE session = s.id)
         AND r.action = 'taken' AND r.bySession = ?`,
      chat,
    )
    .map(({ id }) => id);
}
