import { isPassing } from "../link/chat-link.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import * as news from "../team/news.ts";
import type { Reach } from "./remote-find.ts";
import { takenBy } from "./remote-notes.ts";
import { hold, holderOf, release, takeOver } from "./remote-take.ts";

/**
 * The sessions of other machines that the chat of this process continues. The rows in the store (written by its tool, or by `shim resume`, which
 * starts the chat) say which it wants; the leases follow.
 */
export class TakenSessions {
  /** Fencing tokens by session. */
  readonly #held = new Map<string, number>();

  /**
   * [RE26] Takes sessions that are wanted and not held, also those lost while the coordinator could not be reached, and releases those that were
   * given back. To be called at the registration, and now and then.
   */
  async settle(reach: Reach): Promise<void> {
    const { runtime, link, asking } = reach;
    if (link.self === null) return;
    const wanted = new Set(runtime.store.read((sql) => takenBy(sql, asking), []));
    for (const [session, token] of this.#held) {
      if (wanted.has(session)) continue;
      this.#held.delete(session);
      await release(link, session, token);
    }
    for (const session of wanted) await this.#keep(reach, session);
  }

  /** A repeated request gets the same grant, as long as it is held. */
  async #keep(reach: Reach, session: string): Promise<void> {
    const held = await hold(reach.link, session);
    if (held.ok && this.#held.get(session) === held.value) return;
    this.#held.delete(session);
    if ((await take(reach, session)) && held.ok) this.#held.set(session, held.value);
  }
}

/** [RE26] If another chat has it by now, the wish is dropped, and the chat is told. */
async function take(reach: Reach, session: string): Promise<boolean> {
  const { runtime, mirror, link, asking } = reach;
  const [row] = runtime.store.read((sql) => remoteSessions.list(sql, mirror.workspace, { session }), []);
  if (!row) return false;
  const taken = await takeOver(reach, row);
  if (taken.ok) return true;
  // Tried again later.
  if (isPassing(taken.error)) return false;
  const holder = await holderOf(link, session);
  // The session's own chat counts as alive for a while after its death.
  if (holder?.chat === session) return false;
  const at = runtime.now();
  const told: news.News =
    holder === null
      ? { kind: "notice", text: taken.error.message }
      : { kind: "continued_elsewhere", session, by: holder.chat, machine: holder.machine ?? "another machine" };
  runtime.store.write((sql) => {
    recoveries.note(sql, { at, sessionId: session, action: "undone" });
    news.add(sql, at, asking, `taken:${session}:${at}`, told);
  });
  return false;
}
