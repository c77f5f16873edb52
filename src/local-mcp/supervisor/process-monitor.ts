import { isAlive, isInOtherNamespace, type ProcessIdentity } from "../processes.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** A chat's own process may still save, and say how the chat ended. */
const settleMs = 3_000;
/** Who was silent for longer than that before the supervisor began is not looked for among the living. */
const mostSilentMs = 30 * 86_400_000;

interface Watched {
  readonly owner: ProcessIdentity;
  /** When it was first seen to be gone; null: it lives. */
  readonly goneAt: number | null;
}

/** Which chats of this machine live, and which have died since the last look. Only what was seen alive can die. */
export class ProcessMonitor {
  readonly #runtime: Runtime;
  readonly #isOne: (session: sessions.Session) => boolean;
  readonly #watched = new Map<string, Watched>();

  /** @param isOne which chats are watched */
  constructor(runtime: Runtime, isOne: (session: sessions.Session) => boolean) {
    this.#runtime = runtime;
    this.#isOne = isOne;
  }

  isAlive(id: string): boolean {
    return this.#watched.get(id)?.goneAt === null;
  }

  hasLiving(): boolean {
    return [...this.#watched.values()].some(({ goneAt }) => goneAt === null);
  }

  /** @returns the sessions that have died, each once, and a moment late: those that have ended well are none of them */
  check(): sessions.Session[] {
    const now = this.#runtime.now();
    for (const session of this.#living(now)) {
      if (session.owner) this.#watched.set(session.id, { owner: session.owner, goneAt: null });
    }
    const dead: sessions.Session[] = [];
    for (const [id, { owner, goneAt }] of this.#watched) {
      if (isAlive(this.#runtime.processes, owner)) continue;
      if (goneAt === null) this.#watched.set(id, { owner, goneAt: now });
      else if (!isWithin(now - goneAt, settleMs)) dead.push(...this.#remove(id, owner));
    }
    return dead;
  }

  #living(now: number): sessions.Session[] {
    const { store, processes } = this.#runtime;
    return store.read((sql) => {
      const found: sessions.Session[] = [];
      for (const session of sessions.listOpen(sql)) {
        if (now - session.lastSeenAt > mostSilentMs) break;
        const { owner } = session;
        if (owner && !isInOtherNamespace(processes, owner) && isAlive(processes, owner) && this.#isOne(session)) {
          found.push(session);
        }
      }
      return found;
    }, []);
  }

  /** The same session may be run by another process by now. */
  #remove(id: string, owner: ProcessIdentity): sessions.Session[] {
    this.#watched.delete(id);
    const session = this.#runtime.store.read((sql) => sessions.get(sql, id), null);
    const isSame = session?.owner?.pid === owner.pid && session.owner.start === owner.start;
    return session && isSame && session.endedAt === null ? [session] : [];
  }
}
