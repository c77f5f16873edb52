import { isTransient } from "../../contract/errors.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { teamHoldings } from "../../store/team-tables.ts";
import { decide } from "../sessions/life/claim.ts";
import * as news from "../sessions/news.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import * as elsewhere from "../sharing/sessions-elsewhere.ts";
import { acquireLease, fetchHolder, releaseLease } from "./incomplete/session-lease.ts";
import { offerElsewhere } from "./offers.ts";
import { projectHere, type Reach } from "./elsewhere/candidates.ts";
import { takeOver } from "./elsewhere/restoration.ts";

/** A chat that has just died counts as alive for a while, and its record arrives later. */
const maxOfferSearchMs = 300_000;

/** Watches the other machines for one chat: what it may continue, and what it has taken. */
export class WatchElsewhere {
  #firstCheckAt: number | null = null;
  #isOfferDue = true;
  #checking: Promise<void> | null = null;

  /** Called every few seconds once the chat is registered; one check runs at a time. */
  check(reach: Reach): Promise<void> {
    this.#checking ??= this.#check(reach).finally(() => (this.#checking = null));
    return this.#checking;
  }

  async #check(reach: Reach): Promise<void> {
    if (reach.link.self === null) return;
    await this.#keepLeases(reach);
    if (!this.#isOfferDue) return;
    const now = reach.runtime.now();
    this.#firstCheckAt ??= now;
    const here = await projectHere(reach, projectToOffer(reach));
    const isOver = here === null || now - this.#firstCheckAt > maxOfferSearchMs;
    if (isOver || (await offerElsewhere({ ...reach, here })) !== null) this.#isOfferDue = false;
  }

  /** Notes in the store, made by the chat's tool or `shim resume`, decide; the leases follow. */
  async #keepLeases(reach: Reach): Promise<void> {
    const taken = new Set(reach.runtime.store.read((sql) => takenBy(sql, reach.chatId), []));
    for (const { resource: session, token } of heldLeases(reach)) {
      if (taken.has(session)) continue;
      await releaseLease(reach.link, session, token);
      dropLease(reach, session);
    }
    for (const session of taken) await this.#keepLease(reach, session);
  }

  /** Regains a lease that was lost while offline; a repeated request gets the same grant. */
  async #keepLease(reach: Reach, session: string): Promise<void> {
    const { runtime, workspace, link, chatId } = reach;
    const lease = await acquireLease(link, session);
    const held = heldLeases(reach).find(({ resource }) => resource === session);
    if (lease.ok && held?.token === lease.value) return;
    if (held) dropLease(reach, session);
    const [row] = runtime.store.read((sql) => elsewhere.list(sql, workspace, { session }), []);
    const taken = row && (await takeOver(reach, row));
    if (taken?.ok) {
      const holding = { session: chatId, kind: "session", resource: session, workspace, token: taken.value } as const;
      const incarnation = link.self?.incarnation ?? 0;
      runtime.store.write((sql) => teamHoldings.put(sql, { ...holding, incarnation, at: runtime.now(), body: {} }));
    }
    // A failure that may pass is tried again with the next check.
    else if (taken && !isTransient(taken.error)) await letGo(reach, session, taken.error.message);
  }
}

/** Leases of sessions of other machines that the chat holds, also since an earlier process. */
function heldLeases({ runtime, chatId }: Reach): RowOf<typeof teamHoldings>[] {
  const own = "WHERE session = ? AND kind = 'session'";
  return runtime.store.read((sql) => teamHoldings.select(sql, own, chatId), []);
}

function dropLease({ runtime, chatId }: Reach, resource: string): void {
  runtime.store.write((sql) => teamHoldings.delete(sql, { session: chatId, kind: "session", resource }));
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
    decide(sql, runtime, { session, action: "undone" });
    news.add(sql, at, chatId, `taken:${session}:${at}`, notice);
  });
}

function takenBy(sql: Sql, chat: string): string[] {
  const taken = recoveries.heldBy(sql, chat).filter(({ is }) => is === "taken");
  return taken.map(({ session }) => session).filter((session) => elsewhere.findNewest(sql, session) !== null);
}
