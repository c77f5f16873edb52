import * as news from "../../sessions/news.ts";
import * as recoveries from "../../sessions/recoveries.ts";
import * as sessions from "../../sessions/sessions.ts";
import * as elsewhere from "../../sharing/sessions-elsewhere.ts";
import { isTransient } from "../../../contract/errors.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { OpenedLink } from "../../../coordinator-client/open-link.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { projectHere, remoteContext, type ProjectNaming, type RemoteContext } from "./remote-context.ts";
import { offerElsewhere } from "./remote-offer.ts";
import { acquireLease, fetchHolder, releaseLease } from "../incomplete/session-lease.ts";
import { takeOver } from "./takeover.ts";

/** A chat that has just died counts as alive for a while, and its mirror arrives later. */
const maxOfferSearchMs = 300_000;

/** Watches the other machines for one chat: what it may continue, and what it has taken. */
export class RemoteRecovery {
  readonly #runtime: Runtime;
  readonly #taken = new TakenSessions();
  #firstCheckAt: number | null = null;
  #isOfferDue = true;
  #checking: Promise<void> | null = null;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * Called every few seconds once the chat is registered; one check runs at a time.
   */
  check(opened: OpenedLink, session: string, naming: ProjectNaming): Promise<void> {
    this.#checking ??= this.#check(opened, session, naming).finally(() => (this.#checking = null));
    return this.#checking;
  }

  async #check(opened: OpenedLink, session: string, naming: ProjectNaming): Promise<void> {
    const context = remoteContext(this.#runtime, opened, session);
    if (!context?.link.self) return;
    await this.#taken.reconcile(context);
    if (!this.#isOfferDue) return;
    const now = this.#runtime.now();
    this.#firstCheckAt ??= now;
    const chatProject = await projectHere(naming, this.#projectToOffer(session));
    const isOver = chatProject === null || now - this.#firstCheckAt > maxOfferSearchMs;
    if (isOver || (await offerElsewhere(context, chatProject)) !== null) this.#isOfferDue = false;
  }

  /** No hook brings an offer to a chat without hooks; it asks by its tool. */
  #projectToOffer(session: string): string | null {
    const chat = this.#runtime.store.read((sql) => sessions.get(sql, session), null);
    return chat && chat.origin !== "handle" ? chat.project : null;
  }
}

/** Rows in the store, written by the chat's tool or `shim resume`, decide; the leases follow. */
export class TakenSessions {
  readonly #heldLeases = new Map<string, number>();

  /** Called at the registration and at intervals; regains leases lost while offline. */
  async reconcile(context: RemoteContext): Promise<void> {
    const { runtime, link, chatId } = context;
    if (link.self === null) return;
    const claimedSessions = new Set(runtime.store.read((sql) => takenBy(sql, chatId), []));
    for (const [session, token] of this.#heldLeases) {
      if (claimedSessions.has(session)) continue;
      this.#heldLeases.delete(session);
      await releaseLease(link, session, token);
    }
    for (const session of claimedSessions) await this.#acquire(context, session);
  }

  /** A repeated request gets the same grant while the lease is held. */
  async #acquire(context: RemoteContext, session: string): Promise<void> {
    const lease = await acquireLease(context.link, session);
    if (lease.ok && this.#heldLeases.get(session) === lease.value) return;
    this.#heldLeases.delete(session);
    if ((await takeOverOrDrop(context, session)) && lease.ok) this.#heldLeases.set(session, lease.value);
  }
}

async function takeOverOrDrop(context: RemoteContext, session: string): Promise<boolean> {
  const { runtime, workspace, link, chatId } = context;
  const [row] = runtime.store.read((sql) => elsewhere.list(sql, workspace, { session }), []);
  if (!row) return false;
  const takeoverResult = await takeOver(context, row);
  if (takeoverResult.ok) return true;
  // Tried again later.
  if (isTransient(takeoverResult.error)) return false;
  const holder = await fetchHolder(link, session);
  // The session's own chat counts as alive for a while after its death.
  if (holder?.chat === session) return false;
  const at = runtime.now();
  const notice: news.News =
    holder === null
      ? { kind: "notice", text: takeoverResult.error.message }
      : { kind: "continued_elsewhere", session, by: holder.chat, machine: holder.machine ?? "another machine" };
  runtime.store.write((sql) => {
    recoveries.add(sql, { at, session: session, action: "undone" });
    news.add(sql, at, chatId, `taken:${session}:${at}`, notice);
  });
  return false;
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
