import { stackOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Outside } from "../edge/outside.ts";
import { isPassing, type Trouble } from "../link/chat-link.ts";
import type { OpenedLink } from "../link/open-link.ts";
import { recordFinishedTasks } from "../recovery/finished-tasks.ts";
import type { OtherMachines } from "../recovery/other-machines.ts";
import type { Runtime } from "../runtime.ts";
import { isClosed } from "../sessions/closed-sessions.ts";
import { isSessionPaused } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { StoreError } from "../store/store-error.ts";
import { deadMembers, settle } from "./left-behind.ts";
import type { Naming } from "./naming.ts";
import { TeamChat } from "./team-chat.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** A link to the coordinator, and the names that are sent over it. */
export interface Way {
  readonly opened: OpenedLink;
  readonly naming: Naming;
  readonly others: OtherMachines;
}

export interface TeamOptions {
  readonly runtime: Runtime;
  readonly outside: Pick<Outside, "clock" | "setTimer" | "random">;
  /** A new one for each chat. */
  readonly open: () => Result<Way, string>;
  /** Key of the process whose end is the session's end. */
  readonly processOf: (session: Session) => string;
}

/** The chats of this process go on in a later one; their client is gone; or they end with it. */
export type Ending = "goes_on" | "client_gone" | "over";

const leaveWithinMs = 2_000;
/** Interval of the search for chats that died, in ms. */
const settleEveryMs = 10_000;

/** The chats of one process: the one of Claude Code, or those chats of an app that have asked for the team. [TE1] */
export class Team {
  readonly #options: TeamOptions;
  readonly #chats = new Map<string, TeamChat>();
  /** The session of the client, which changes. */
  #followed: string | null = null;
  #isFollowing = false;
  /** The last logged reason why the followed chat is not in the team. */
  #problem: string | null = null;
  #reader: OpenedLink | null = null;
  #settledAt = Number.NEGATIVE_INFINITY;
  #isOver = false;

  constructor(options: TeamOptions) {
    this.#options = options;
  }

  /** The chat of a session, registered or about to be. */
  async of(session: Session): Promise<Result<TeamChat, Trouble>> {
    const known = this.#chats.get(session.id);
    const made = known ? ok(known) : this.#make(session);
    if (!made.ok) return made;
    this.#chats.set(session.id, made.value);
    const joined = await made.value.join();
    // While the coordinator cannot be reached, calls of the chat are kept.
    return joined.ok || isPassing(joined.error) ? made : joined;
  }

  /** [TE1] [TE3] Called from time to time: the client's present session joins, one that it has left or ended leaves. */
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

  /** A link for reads: that of a chat here, else one of its own, kept until the end. */
  reader(): OpenedLink | null {
    const [chat] = this.#chats.values();
    if (chat) return chat.opened;
    const way = this.#reader ? null : this.#options.open();
    if (way?.ok) this.#reader = way.value.opened;
    return this.#reader;
  }

  /** [TE3] */
  async end(ending: Ending): Promise<void> {
    this.#isOver = true;
    this.#reader?.close();
    await Promise.all([...this.#chats.keys()].map((id) => this.#end(id, ending)));
  }

  #make(session: Session): Result<TeamChat, Trouble> {
    const { runtime, outside, open, processOf } = this.#options;
    const way = open();
    if (!way.ok) return err({ code: "edge_unusable", message: `${way.error}.` });
    return ok(new TeamChat({ runtime, outside, ...way.value }, session.id, processOf(session)));
  }

  async #follow(sessionId: string | null): Promise<void> {
    if (this.#isOver) return;
    const wanted = sessionId === null ? null : this.#wanted(sessionId);
    await this.#leaveOld(wanted);
    await this.#settleDead();
    for (const chat of this.#chats.values()) chat.tasks.beatIfSaved();
    if (wanted === null || this.#isOver) return;
    const followed = this.#followed === wanted.id ? this.#chats.get(wanted.id) : undefined;
    if (followed) return followed.describe();
    this.#followed = wanted.id;
    const joined = await this.of(wanted);
    this.#say(joined.ok ? null : joined.error.message);
  }

  /** Logs a problem once: joining is tried every few seconds. */
  #say(problem: string | null): void {
    if (problem !== null && problem !== this.#problem) this.#options.runtime.log("error", "team", { reason: problem });
    this.#problem = problem;
  }

  /** Null: the session is not stored, has ended, or joins when its chat asks for the team. */
  #wanted(sessionId: string): Session | null {
    const { store, now } = this.#options.runtime;
    return store.read((sql) => {
      const session = sessions.get(sql, sessionId);
      if (session?.endedAt !== null || session.origin === "handle") return null;
      // Nothing new begins while SHIM is paused.
      return this.#chats.has(sessionId) || !isSessionPaused(sql, now(), session) ? session : null;
    }, null);
  }

  async #leaveOld(wanted: Session | null): Promise<void> {
    const left = this.#followed;
    if (left !== null && left !== wanted?.id) {
      this.#followed = null;
      await this.#end(left, "over");
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

  /** [TE15] */
  async #settleDead(): Promise<void> {
    const { runtime, outside } = this.#options;
    if (isWithin(runtime.now() - this.#settledAt, settleEveryMs)) return;
    const [chat] = this.#chats.values();
    if (!chat || chat.opened.link.self === null) return;
    const { opened } = chat;
    this.#settledAt = runtime.now();
    for (const member of deadMembers(runtime, opened.workspace)) {
      const open = (): OpenedLink | null => {
        const way = this.#options.open();
        return way.ok ? way.value.opened : null;
      };
      await settle({ runtime, outside, open }, opened, member);
    }
    await recordFinishedTasks(runtime, opened.workspace, opened.link);
  }

  async #end(sessionId: string, ending: Ending): Promise<void> {
    const chat = this.#chats.get(sessionId);
    this.#chats.delete(sessionId);
    if (!chat) return;
    if (ending === "over" || this.#isOverFor(sessionId)) await chat.leave(leaveWithinMs);
    else if (ending === "client_gone") await chat.attest(leaveWithinMs);
    else chat.close();
  }

  /** unknown: the store cannot be read now. */
  #stored(sessionId: string): Session | null | "unknown" {
    try {
      return this.#options.runtime.store.read((sql) => sessions.get(sql, sessionId), null);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return "unknown";
    }
  }

  /** The session has ended, or ends with this process. */
  #isOverFor(sessionId: string): boolean {
    const session = this.#stored(sessionId);
    if (session === "unknown") return false;
    return !session || session.endedAt !== null || isClosed(session) || session.origin === "handle";
  }
}
