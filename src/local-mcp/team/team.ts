import { stackOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Outside } from "../edge/outside.ts";
import { isPassing, type Trouble } from "../link/chat-link.ts";
import type { OpenedLink } from "../link/open-link.ts";
import type { OtherMachines } from "../recovery/other-machines.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { deadMembers, settle } from "./left-behind.ts";
import type { Naming } from "./naming.ts";
import { TeamChat } from "./team-chat.ts";

/** A way to whoever decides, and what is told there. */
export interface Way {
  readonly opened: OpenedLink;
  readonly naming: Naming;
  readonly others: OtherMachines;
}

export interface TeamOptions {
  readonly runtime: Runtime;
  readonly outside: Pick<Outside, "clock" | "setTimer" | "random">;
  /** A new one for each chat. Loaded at the first call: a process that only answers a list of tools needs none of it. */
  readonly open: () => Promise<Result<Way, string>>;
  /** Whose life is the session's, as a key of a process. */
  readonly processOf: (session: Session) => string;
}

/** What the end of this process means for its chats: they go on in a later one; their client is gone; they end with it. */
export type Ending = "goes_on" | "client_gone" | "over";

const leaveWithinMs = 2_000;
/** Chats that died are looked for this often, in ms. */
const settleEveryMs = 60_000;

/** The chats of one process: of Claude Code the one that works in it; of an app with many chats each that has asked for the team. [TE1] */
export class Team {
  readonly #options: TeamOptions;
  readonly #chats = new Map<string, Promise<Result<TeamChat, Trouble>>>();
  /** The session of the client, which changes. */
  #followed: string | null = null;
  #isFollowing = false;
  #reader: Promise<Result<Way, string>> | null = null;
  #settledAt = Number.NEGATIVE_INFINITY;
  #isOver = false;

  constructor(options: TeamOptions) {
    this.#options = options;
  }

  /** The chat of a session, registered or about to be. */
  async of(session: Session): Promise<Result<TeamChat, Trouble>> {
    const known = this.#chats.get(session.id) ?? this.#make(session);
    this.#chats.set(session.id, known);
    const made = await known;
    // A file that was damaged may be whole again.
    if (!made.ok) {
      this.#chats.delete(session.id);
      return made;
    }
    const joined = await made.value.join();
    // Where nobody can be reached, what the chat says is kept.
    return joined.ok || isPassing(joined.error) ? made : joined;
  }

  /** [TE1] [TE3] From time to time: the session that the client works in now has joined, one that it has left or ended has left. */
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

  /** For what anybody may read: the way of a chat that is here, else one of its own, kept until the end. */
  async reader(): Promise<OpenedLink | null> {
    for (const chat of this.#chats.values()) {
      const made = await chat;
      if (made.ok) return made.value.opened;
    }
    this.#reader ??= this.#options.open();
    const way = await this.#reader;
    if (!way.ok) this.#reader = null;
    return way.ok ? way.value.opened : null;
  }

  /** [TE3] */
  async end(ending: Ending): Promise<void> {
    this.#isOver = true;
    const reader = await this.#reader;
    if (reader?.ok) reader.value.opened.close();
    await Promise.all([...this.#chats.keys()].map((id) => this.#end(id, ending)));
  }

  async #make(session: Session): Promise<Result<TeamChat, Trouble>> {
    const { runtime, outside, open, processOf } = this.#options;
    const way = await open();
    if (!way.ok) return err({ code: "edge_unusable", message: `${way.error}.` });
    return ok(new TeamChat({ runtime, outside, ...way.value }, session.id, processOf(session)));
  }

  async #follow(sessionId: string | null): Promise<void> {
    if (this.#isOver) return;
    const wanted = sessionId === null ? null : this.#wanted(sessionId);
    await this.#leaveOld(wanted);
    if (wanted === null || this.#isOver) return;
    if (this.#followed === wanted.id) return this.#lookAfter(wanted);
    this.#followed = wanted.id;
    const joined = await this.of(wanted);
    if (!joined.ok) this.#options.runtime.log("error", "team", { reason: joined.error.message });
  }

  /** Null: it is not stored, has ended, or its chat joins when it asks for the team. */
  #wanted(sessionId: string): Session | null {
    const session = this.#options.runtime.store.read((sql) => sessions.get(sql, sessionId), null);
    return session?.endedAt === null && session.origin !== "handle" ? session : null;
  }

  async #leaveOld(wanted: Session | null): Promise<void> {
    const left = this.#followed;
    if (left !== null && left !== wanted?.id) {
      this.#followed = null;
      await this.#end(left, "over");
    }
    await this.#leaveEnded();
  }

  async #lookAfter(session: Session): Promise<void> {
    const chat = await this.#chats.get(session.id);
    if (!chat?.ok) this.#followed = null;
    else {
      chat.value.tasks.lookIfSaved();
      await chat.value.describe();
      await this.#settleDead(chat.value);
    }
  }

  async #leaveEnded(): Promise<void> {
    const { runtime } = this.#options;
    for (const id of this.#chats.keys()) {
      const session = runtime.store.read((sql) => sessions.get(sql, id), null);
      if (session?.endedAt !== null && session?.endedAt !== undefined) await this.#end(id, "over");
    }
  }

  /** [TE15] */
  async #settleDead(chat: TeamChat): Promise<void> {
    const { runtime, outside } = this.#options;
    const { opened } = chat;
    if (Math.abs(runtime.now() - this.#settledAt) < settleEveryMs || opened.link.self === null) return;
    this.#settledAt = runtime.now();
    for (const member of deadMembers(runtime, opened.workspace)) {
      const way = await this.#options.open();
      const open = (): OpenedLink | null => (way.ok ? way.value.opened : null);
      await settle({ runtime, outside, open }, opened, member);
      if (way.ok) way.value.opened.close();
    }
  }

  async #end(sessionId: string, ending: Ending): Promise<void> {
    const made = await this.#chats.get(sessionId);
    this.#chats.delete(sessionId);
    if (!made?.ok) return;
    const chat = made.value;
    const { runtime } = this.#options;
    const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
    const isOver = ending === "over" || !session || session.endedAt !== null || session.origin === "handle";
    if (isOver) await chat.leave(leaveWithinMs);
    else if (ending === "client_gone") await chat.attest(leaveWithinMs);
    else chat.close();
  }
}
