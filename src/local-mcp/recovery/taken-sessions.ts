import { isPassing } from "../link/chat-link.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import * as news from "../team/news.ts";
import type { Reach } from "./remote-find.ts";
import { takenBy } from "./remote-notes.ts";
import { holderOf, release, hold, takeOver } from "./remote-take.ts";

/**
 * The sessions of other machines that the chat of this process goes on with. What is written down here (by its tool, or by `shim resume`, which
 * starts the chat) is what it wants; the leases follow.
 */
export class TakenSessions {
  /** By session: the fencing token, and the incarnation that it was granted to. */
  readonly #held = new Map<string, { readonly token: number; readonly incarnation: number }>();

  /** The chat has counted as gone meanwhile: what it held may be another's. */
  doubt(): void {
    this.#held.clear();
  }

  /** [RE26] Takes what is wanted and not held, and lets go what was given back. To be called at each registration, and now and then. */
  async settle(reach: Reach): Promise<void> {
    const { runtime, link, asking } = reach;
    const { self } = link;
    if (!self) return;
    const wanted = new Set(runtime.store.read((sql) => takenBy(sql, asking), []));
    for (const [session, { token }] of this.#held) {
      if (wanted.has(session)) continue;
      this.#held.delete(session);
      await release(link, session, token);
    }
    for (const session of wanted) {
      if (this.#held.get(session)?.incarnation === self.incarnation) continue;
      if (await take(reach, session)) await this.#keep(reach, session, self.incarnation);
    }
  }

  /** The same request again answers with the token of the grant. */
  async #keep({ link }: Reach, session: string, incarnation: number): Promise<void> {
    const held = await hold(link, session);
    if (held.ok) this.#held.set(session, { token: held.value, incarnation });
  }
}

/** [RE26] Where another chat has it by now, the user's wish is over, and the chat is told. */
async function take(reach: Reach, session: string): Promise<boolean> {
  const { runtime, mirror, link, asking } = reach;
  const [row] = runtime.store.read((sql) => remoteSessions.list(sql, mirror.workspace, { session }), []);
  if (!row) return false;
  const taken = await takeOver(reach, row);
  if (taken.ok) return true;
  // It is tried again.
  if (isPassing(taken.error)) return false;
  const holder = await holderOf(link, session);
  // Its own chat counts as alive for a while after its death.
  if (holder?.chat === session) return false;
  const at = runtime.now();
  runtime.store.write((sql) => {
    recoveries.note(sql, { at, sessionId: session, action: "undone" });
    const text = taken.error.message;
    news.add(
      sql,
      at,
      asking,
      `taken:${session}:${at}`,
      holder === null
        ? { kind: "notice", text }
        : {
            kind: "continued_elsewhere",
            session,
            by: holder.chat,
            machine: holder.machine ?? "another machine",
          },
    );
  });
  return false;
}
