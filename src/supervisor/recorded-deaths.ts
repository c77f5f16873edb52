import { isAlive } from "../platform/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";

/** Sessions silent for longer before the supervisor began are not followed. */
const maxSilenceMs = 30 * 86_400_000;

/** Deaths that the host records. [SU11] Only a chat that was seen alive can die. */
export class RecordedDeaths {
  readonly #runtime: Runtime;
  readonly #isFollowed: (session: sessions.Session) => boolean;
  readonly #living = new Set<string>();

  constructor(runtime: Runtime, isFollowed: (session: sessions.Session) => boolean) {
    this.#runtime = runtime;
    this.#isFollowed = isFollowed;
  }

  isAlive(id: string): boolean {
    return this.#living.has(id);
  }

  hasLiving(): boolean {
    return this.#living.size > 0;
  }

  /** @returns each death once; chats that ended well are not among them */
  take(): sessions.Session[] {
    const { store, processes, now } = this.#runtime;
    return store.read((sql) => {
      for (const session of sessions.listOpen(sql)) {
        const { id, owner, deathAt, lastSeenAt } = session;
        if (now() - lastSeenAt > maxSilenceMs) break;
        if (deathAt !== null || this.#living.has(id) || !this.#isFollowed(session)) continue;
        if (owner && isAlive(processes, owner)) this.#living.add(id);
      }
      return [...this.#living].flatMap((id) => {
        const session = sessions.get(sql, id);
        if (session?.deathAt === null && session.endedAt === null) return [];
        this.#living.delete(id);
        return session?.endedAt === null ? [session] : [];
      });
    }, []);
  }
}
