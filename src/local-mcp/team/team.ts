import { isTransient, type CallError } from "../../contract/errors.ts";
import { stackOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { type Platform, within } from "../../coordinator-client/edge/platform.ts";
import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isClosed } from "../sessions/closed-sessions.ts";
import { isSessionPaused } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { StoreError } from "../../store/store-error.ts";
import type { Naming } from "./chat-naming.ts";
import { TeamChat } from "./team-chat.ts";
import { isWithin } from "../../shared/elapsed.ts";
import * as queuedCalls from "./queued-calls.ts";
import * as members from "./members.ts";
import { readProcessKey } from "../../coordinator-client/local/process-key.ts";
import { mayBeAlive } from "../../platform/processes.ts";
import type { Member } from "./members.ts";
import { Outbox } from "./outbox.ts";

export interface TeamConnection {
  readonly openedLink: OpenedLink;
  readonly naming: Naming;
  /** Called every few seconds once the chat is registered. */
  readonly checkOtherMachines: (sessionId: string) => Promise<void>;
}

export interface TeamOptions {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly open: () => Result<TeamConnection, string>;
  /** Key of the process whose end is the session's end. */
  readonly processOf: (session: Session) => string;
  readonly isDead: (session: Session) => boolean;
  /** Called after chats that died on this machine have left the workspace. */
  readonly onCleanedUp: (openedLink: OpenedLink) => Promise<void>;
}

/** goes_on: a later process continues the chats; over: they end with this one. */
export type TeamEnding = "goes_on" | "client_gone" | "over";

const leaveTimeoutMs = 2_000;
const cleanUpEveryMs = 10_000;

export class Team {
  readonly #options: TeamOptions;
  readonly #chats = new Map<string, TeamChat>();
  #followed: string | null = null;
  #isFollowing = false;
  #problem: string | null = null;
  #reader: OpenedLink | null = null;
  #cleanedUpAt = Number.NEGATIVE_INFINITY;
  #hasEnded = false;

  constructor(options: TeamOptions) {
    this.#options = options;
  }

  async chatFor(session: Session): Promise<Result<TeamChat, CallError>> {
    const existing = this.#chats.get(session.id);
    const created = existing ? ok(existing) : this.#createChat(session);
    if (!created.ok) return created;
    this.#chats.set(session.id, created.value);
    const joined = await created.value.join();
    return joined.ok || isTransient(joined.error) ? created : joined;
  }

  async follow(sessionId: string | null): Promise<void> {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    try {
      await this.#follow(sessionId);
    } catch (error) {
      this.#options.runtime.log("error", "team", { error: stackOf(error) });
    } finally {
      this.#isFollowing = false;
    }
  }

  reader(): OpenedLink | null {
    const [chat] = this.#chats.values();
    if (chat) return chat.openedLink;
    const connection = this.#reader ? null : this.#options.open();
    if (connection?.ok) this.#reader = connection.value.openedLink;
    return this.#reader;
  }

  async end(ending: TeamEnding): Promise<void> {
    this.#hasEnded = true;
    this.#reader?.link.close();
    await Promise.all([...this.#chats.keys()].map((id) => this.#end(id, ending)));
  }

  #createChat(session: Session): Result<TeamChat, CallError> {
    const { runtime, platform, open, processOf, isDead } = this.#options;
    const connection = open();
    if (!connection.ok) return err({ code: "edge_unusable", message: `${connection.error}.` });
    return ok(new TeamChat({ runtime, platform, isDead, ...connection.value }, session.id, processOf(session)));
  }

  async #follow(sessionId: string | null): Promise<void> {
    if (this.#hasEnded) return;
    const session = sessionId === null ? null : this.#sessionToFollow(sessionId);
    await this.#leaveOld(session);
    await this.#cleanUpDead();
    for (const chat of this.#chats.values()) chat.tasks.sendNewCheckpoint();
    if (session === null || this.#hasEnded) return;
    const followed = this.#followed === session.id ? this.#chats.get(session.id) : undefined;
    if (followed) return followed.describe();
    this.#followed = session.id;
    const joined = await this.chatFor(session);
    this.#logProblem(joined.ok ? null : joined.error.message);
  }

  #logProblem(problem: string | null): void {
    if (problem !== null && problem !== this.#problem) this.#options.runtime.log("error", "team", { reason: problem });
    this.#problem = problem;
  }

  #sessionToFollow(sessionId: string): Session | null {
    const { store, now } = this.#options.runtime;
    return store.read((sql) => {
      const session = sessions.get(sql, sessionId);
      if (session?.endedAt !== null || session.origin === "handle") return null;
      // Nothing new begins while SHIM is paused.
      return this.#chats.has(sessionId) || !isSessionPaused(sql, now(), session) ? session : null;
    }, null);
  }

  async #leaveOld(nextSession: Session | null): Promise<void> {
    const previous = this.#followed;
    if (previous !== null && previous !== nextSession?.id) {
      this.#followed = null;
      await this.#end(previous, "over");
    }
    await this.#leaveEnded();
  }

  async #leaveEnded(): Promise<void> {
    const { runtime } = this.#options;
    for (const id of this.#chats.keys()) {
      const session = runtime.store.read((sql) => sessions.get(sql, id), null);
      if (session?.endedAt !== null && session?.endedAt !== undefined) await this.#end(id, "over");
    }
  }

  async #cleanUpDead(): Promise<void> {
    const { runtime, platform } = this.#options;
    if (isWithin(runtime.now() - this.#cleanedUpAt, cleanUpEveryMs)) return;
    const [chat] = this.#chats.values();
    if (!chat || chat.openedLink.link.self === null) return;
    const { openedLink } = chat;
    this.#cleanedUpAt = runtime.now();
    const open = (): OpenedLink | null => {
      const connection = this.#options.open();
      return connection.ok ? connection.value.openedLink : null;
    };
    for (const member of deadMembers(runtime, openedLink.workspace))
      await cleanUp({ runtime, platform, open }, openedLink, member);
    await this.#options.onCleanedUp(openedLink);
  }

  async #end(sessionId: string, ending: TeamEnding): Promise<void> {
    const chat = this.#chats.get(sessionId);
    this.#chats.delete(sessionId);
    if (!chat) return;
    if (ending === "over" || this.#isSessionOver(sessionId)) await chat.leave(leaveTimeoutMs);
    else if (ending === "client_gone") await chat.attestDeath(leaveTimeoutMs);
    else chat.close();
  }

  /** A session that cannot be read now may still live. */
  #isSessionOver(sessionId: string): boolean {
    try {
      const session = this.#options.runtime.store.read((sql) => sessions.get(sql, sessionId), null);
      return !session || session.endedAt !== null || isClosed(session) || session.origin === "handle";
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return false;
    }
  }
}

interface OrphanDeps {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "setTimer" | "random">;
  readonly open: () => OpenedLink | null;
}

const attestTimeoutMs = 10_000;
const sendTimeoutMs = 60_000;

function deadMembers({ store, processes }: Runtime, workspace: string): Member[] {
  return store
    .read((sql) => members.inWorkspace(sql, workspace), [])
    .filter(({ process }) => {
      const owner = readProcessKey(process);
      return owner !== null && !mayBeAlive(processes, owner);
    });
}

/** [TE15] Sends the kept calls of a dead chat, then releases all that it holds. */
async function cleanUp(deps: OrphanDeps, openedLink: OpenedLink, member: Member): Promise<void> {
  const { runtime } = deps;
  const { sessionId, process } = member;
  const hasKeptCalls = runtime.store.read((sql) => queuedCalls.count(sql, sessionId), 0) > 0;
  const isDone = hasKeptCalls ? await sendKeptCalls(deps, member) : await attestDeath(openedLink, member);
  if (isDone) runtime.store.write((sql) => members.remove(sql, sessionId, process));
}

/** A coordinator on one machine sees the death itself. */
async function attestDeath({ link, machine, edge }: OpenedLink, { chat, process }: Member): Promise<boolean> {
  if (edge === null) return true;
  const answer = await link.call("chats.attest-death", { chat, machine, process }, attestTimeoutMs);
  return answer.ok || answer.error.code === "unknown_chat";
}

/** Claims are valid within the grace period of a lost connection. */
async function sendKeptCalls({ runtime, platform, open }: OrphanDeps, member: Member): Promise<boolean> {
  const openedLink = open();
  if (!openedLink) return false;
  const { sessionId, workspace, chat, process } = member;
  const { link, machine } = openedLink;
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  const client = session?.client.slice(0, 200) || "unknown";
  const registered = await link.register({ chat, session: sessionId, process, machine, client, capacity: 0 });
  const outbox = new Outbox({ runtime, platform, link, sessionId, workspace });
  if (registered.ok) await within(platform, sendTimeoutMs, outbox.whenEmpty());
  outbox.close();
  if (registered.ok) await link.leave(leaveTimeoutMs);
  link.close();
  return runtime.store.read((sql) => queuedCalls.count(sql, sessionId), 0) === 0;
}
