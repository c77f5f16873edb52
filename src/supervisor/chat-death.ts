import { isWithin } from "../shared/elapsed.ts";
import { messageOf } from "../shared/error.ts";
import { restore, type Restoration } from "../local-mcp/recovery/restoration.ts";
import { isClosed } from "../local-mcp/sessions/closed-sessions.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { isAlive, isInOtherNamespace, type ProcessIdentity } from "../platform/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";
import * as restarter from "./auto-restarter.ts";
import type { ProgramEnding } from "./program-run.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";

/** Opens a terminal that outlives the call. Rejects where the start fails. */
export type OpenTerminal = (command: string, args: readonly string[], cwd: string) => Promise<void>;

export interface WatchOptions {
  readonly name: string;
  readonly runtime: Runtime;
  readonly rules: restarter.RestartRules;
  readonly isSupervised: (session: string) => boolean;
  readonly recordDeath: (session: string) => Promise<string | null>;
  readonly openTerminal: OpenTerminal;
  readonly emit: (event: SupervisorEvent) => void;
}

export function findRestoration(runtime: Runtime, id: string): Restoration | null {
  const session = runtime.store.read((sql) => sessions.get(sql, id), null);
  return session && restore(runtime, session, runtime.now());
}

/** @returns null: the client ended cleanly, which a spooled hook event may report late */
export async function reportDeath(
  { name, runtime, recordDeath, emit }: WatchOptions,
  id: string,
): Promise<Restoration | null> {
  const checkpoint = await recordDeath(id);
  const restoration = findRestoration(runtime, id);
  if (!restoration?.cause || restoration.session.endedAt !== null || isClosed(restoration.session)) return null;
  emit({ type: "died", name, session: id, cause: restoration.cause, checkpoint });
  return restoration;
}

/** Plans the restart of a chat or an app, and reports it. @param what e.g. the name with a session */
export function planRestart(
  { runtime, rules, emit }: WatchOptions,
  what: string,
  previous: restarter.Restarts | undefined,
  ending: ProgramEnding,
): restarter.Restarts {
  const now = runtime.now();
  const before = previous ?? restarter.initial(now);
  const restarts = restarter.afterEnd(before, ending, now, { when: "on-crash", rules });
  const { phase, reason } = restarts;
  const againInMs = restarter.dueInMs(restarts, now);
  emit({ type: "ended", name: what, phase, reason, againInMs, ranMs: now - before.since, isProgram: false });
  return restarts;
}

/** Opens a terminal or an app, and reports how, or why not. */
export async function openReported(
  { name, openTerminal, emit }: WatchOptions,
  [command = "", ...args]: readonly string[],
  cwd: string,
  { session, how }: { readonly session: string | null; readonly how: string },
): Promise<void> {
  try {
    await openTerminal(command, args, cwd);
    emit({ type: "restarting", name, session, how });
  } catch (error) {
    emit({ type: "problem", name, message: `${command} cannot be started: ${messageOf(error)}` });
  }
}

/** A chat's own process may still save, and report how the chat ended. */
const settleMs = 3_000;
/** Sessions silent for longer before the supervisor began are not checked. */
const maxSilenceMs = 30 * 86_400_000;

interface WatchedOwner {
  readonly owner: ProcessIdentity;
  readonly goneAt: number | null;
}

/** Finds deaths since the last check. Only a chat that was seen alive can die. */
export class ProcessMonitor {
  readonly #runtime: Runtime;
  readonly #isWatched: (session: sessions.Session) => boolean;
  readonly #owners = new Map<string, WatchedOwner>();

  constructor(runtime: Runtime, isWatched: (session: sessions.Session) => boolean) {
    this.#runtime = runtime;
    this.#isWatched = isWatched;
  }

  isAlive(id: string): boolean {
    return this.#owners.get(id)?.goneAt === null;
  }

  hasLiving(): boolean {
    return [...this.#owners.values()].some(({ goneAt }) => goneAt === null);
  }

  /** @returns each death once, `settleMs` late; chats that ended well are not among them */
  check(): sessions.Session[] {
    const now = this.#runtime.now();
    for (const session of this.#findLiving(now)) {
      if (session.owner) this.#owners.set(session.id, { owner: session.owner, goneAt: null });
    }
    const dead: sessions.Session[] = [];
    for (const [id, { owner, goneAt }] of this.#owners) {
      if (isAlive(this.#runtime.processes, owner)) continue;
      if (goneAt === null) this.#owners.set(id, { owner, goneAt: now });
      else if (!isWithin(now - goneAt, settleMs)) dead.push(...this.#remove(id, owner));
    }
    return dead;
  }

  #findLiving(now: number): sessions.Session[] {
    const { store, processes } = this.#runtime;
    return store.read((sql) => {
      const live: sessions.Session[] = [];
      for (const session of sessions.listOpen(sql)) {
        if (now - session.lastSeenAt > maxSilenceMs) break;
        const { owner } = session;
        if (owner && !isInOtherNamespace(processes, owner) && isAlive(processes, owner) && this.#isWatched(session)) {
          live.push(session);
        }
      }
      return live;
    }, []);
  }

  /** Another process may run the same session by now. */
  #remove(id: string, owner: ProcessIdentity): sessions.Session[] {
    this.#owners.delete(id);
    const session = this.#runtime.store.read((sql) => sessions.get(sql, id), null);
    const isSame = session?.owner?.pid === owner.pid && session.owner.start === owner.start;
    return session && isSame && session.endedAt === null ? [session] : [];
  }
}
