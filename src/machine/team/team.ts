import { teamChats } from "../../store/team-tables.ts";
import { isTransient } from "../../contract/errors.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import type { OpenedLink } from "../../coordinator-client/client.ts";
import { isSessionPaused } from "../sessions/session-settings.ts";
import { attempt } from "../../platform/log-file.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { exceptStoreErrors } from "../../store/store-error.ts";
import { TeamChat, type TeamOptions } from "./team-chat.ts";
import type { WorkspaceWatch } from "./workspace-watch.ts";

/**
 * goes_on: another process has the chats; server_gone: their client lives on without a server;
 * over: they end with this process.
 */
export type TeamEnding = "goes_on" | "server_gone" | "client_gone" | "over";

const leaveTimeoutMs = 2_000;

export class Team {
  readonly #options: TeamOptions;
  readonly #chats = new Map<string, TeamChat>();
  #followed: ReadonlySet<string> = new Set();
  #isFollowing = false;
  #problem: string | null = null;
  #reader: OpenedLink | null = null;
  #hasRejoined = false;
  #hasEnded = false;
  /** The client lives on, with the sessions that are its own. */
  #isServerGone = false;

  constructor(options: TeamOptions) {
    this.#options = options;
  }

  async chatFor(session: Session): Promise<Result<TeamChat>> {
    let chat = this.#chats.get(session.id);
    if (!chat) {
      const opened = this.#options.open();
      if (!opened.ok) return fail("edge_unusable", `${opened.error}.`);
      chat = new TeamChat(this.#options, opened.value, session);
      this.#chats.set(session.id, chat);
    }
    const joined = await chat.join();
    return joined.ok || isTransient(joined.error) ? ok(chat) : joined;
  }

  /** @param ids all sessions of the client that are to be in the team */
  async follow(ids: readonly string[]): Promise<void> {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    await attempt(this.#options.runtime.log, "team", () => this.#follow(ids));
    this.#isFollowing = false;
  }

  reader(): OpenedLink | null {
    const [chat] = this.#chats.values();
    if (chat) return chat.openedLink;
    const opened = this.#reader ? null : this.#options.open();
    if (opened?.ok) this.#reader = opened.value;
    return this.#reader;
  }

  async end(ending: TeamEnding): Promise<void> {
    this.#isServerGone = ending === "server_gone";
    this.#hasEnded = !this.#isServerGone;
    if (this.#hasEnded) this.#reader?.link.close();
    await Promise.all([...this.#chats.keys()].map((id) => this.#end(id, ending)));
  }

  /** Watches of the workspaces in which a chat is registered. */
  watches(): WorkspaceWatch[] {
    const registered = [...this.#chats.values()].filter(({ openedLink }) => openedLink.link.self !== null);
    return this.#hasEnded ? [] : registered.map(({ watch }) => watch);
  }

  onPulled(): void {
    for (const chat of this.#chats.values()) chat.onPulled();
  }

  /** A session of this machine was handed over, and another one has taken it. */
  async onHandedOver(): Promise<void> {
    for (const chat of this.#chats.values()) await chat.giveBack();
  }

  async #follow(ids: readonly string[]): Promise<void> {
    if (this.#hasEnded) return;
    const next = ids.flatMap((id) => this.#sessionToFollow(id) ?? []);
    await this.#leaveOthers(new Set(next.map(({ id }) => id)));
    for (const chat of this.#chats.values()) chat.sendNewCheckpoint();
    for (const session of next) await this.#followOne(session);
  }

  async #followOne(session: Session): Promise<void> {
    if (this.#hasEnded) return;
    const followed = this.#followed.has(session.id) ? this.#chats.get(session.id) : undefined;
    if (followed) return followed.describe();
    this.#followed = new Set([...this.#followed, session.id]);
    const joined = await this.chatFor(session);
    const problem = joined.ok ? null : joined.error.message;
    if (problem !== null && problem !== this.#problem) this.#options.runtime.log("error", "team", { reason: problem });
    this.#problem = problem;
    await this.#rejoin(session);
  }

  /** An earlier process of this server may have registered several chats. */
  async #rejoin(session: Session): Promise<void> {
    if (this.#hasRejoined || !isOfServer(session)) return;
    this.#hasRejoined = true;
    const process = this.#options.processOf(session);
    const registered = this.#options.runtime.store.read(
      (sql) => teamChats.select(sql, "WHERE process = ?", process),
      [],
    );
    for (const { session: sessionId } of registered) {
      const other = this.#chats.has(sessionId) ? null : this.#sessionToFollow(sessionId);
      if (other) await this.chatFor(other);
    }
  }

  #sessionToFollow(sessionId: string): Session | null {
    const { store, now } = this.#options.runtime;
    return store.read((sql) => {
      const session = sessions.get(sql, sessionId);
      if (session === null || session.ending?.how === "ended" || (this.#isServerGone && isOfServer(session)))
        return null;
      // Nothing new begins while SHIM is paused.
      return this.#chats.has(sessionId) || !isSessionPaused(sql, now(), session) ? session : null;
    }, null);
  }

  async #leaveOthers(next: ReadonlySet<string>): Promise<void> {
    const { store } = this.#options.runtime;
    for (const id of this.#chats.keys()) {
      const session = store.read((sql) => sessions.get(sql, id), null);
      // The chats of a client without session ids live side by side.
      const isReplaced = this.#followed.has(id) && !next.has(id) && !(session && isOfServer(session));
      if (isReplaced || session?.ending?.how === "ended") await this.#end(id, "over");
    }
    this.#followed = new Set([...this.#followed].filter((id) => next.has(id)));
  }

  async #end(sessionId: string, ending: TeamEnding): Promise<void> {
    const chat = this.#chats.get(sessionId);
    if (!chat) return;
    const action = endAction(ending, this.#stateOf(sessionId), chat.openedLink.edge !== null);
    if (action === "stay") return chat.stay();
    this.#chats.delete(sessionId);
    if (action === "leave") await chat.leave(leaveTimeoutMs);
    else if (action === "attest") await chat.attestDeath(leaveTimeoutMs);
    else chat.close();
  }

  /** A session that cannot be read now may still live. */
  #stateOf(sessionId: string): ChatState {
    const read = (): ChatState => {
      const session = this.#options.runtime.store.read((sql) => sessions.get(sql, sessionId), null);
      if (!session || session.ending?.how === "ended" || session.ending?.how === "closed") return "over";
      return isOfServer(session) ? "of_server" : "of_client";
    };
    return exceptStoreErrors(read, () => "of_client");
  }
}

/** of_server: the session ends with the server's process. */
type ChatState = "over" | "of_server" | "of_client";

function endAction(ending: TeamEnding, state: ChatState, isOnEdge: boolean): "leave" | "attest" | "stay" | "close" {
  if (ending === "over" || state === "over") return "leave";
  if (ending === "client_gone") return "attest";
  if (ending === "goes_on") return "close";
  if (state === "of_server") return "attest";
  return isOnEdge ? "stay" : "close";
}

/** Whether the session's owner is its server, because its client has no session ids. */
function isOfServer({ origin }: Session): boolean {
  return origin === "handle";
}
