import { ok, type Result } from "../../shared/result.ts";
import type { ChatLink, Trouble } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import * as members from "./members.ts";

/** The tasks that a chat may be given, by its capabilities, and how many at a time. */
export interface Abilities {
  readonly capabilities: string[];
  readonly capacity: number;
}

/** In the metadata of a chat that has stated its abilities itself: the next process of the chat keeps them. */
const ownMark = "hasOwnAbilities";
const withinMs = 5_000;

/** [TE34] The abilities of one chat: those of the settings, until the chat states its own. */
export class OwnAbilities {
  readonly #runtime: Pick<Runtime, "config" | "store">;
  readonly #link: ChatLink;
  readonly #sessionId: string;
  #own: Abilities | null = null;
  #isRecalled = false;

  constructor({ runtime, link, sessionId }: { runtime: Runtime; link: ChatLink; sessionId: string }) {
    this.#runtime = runtime;
    this.#link = link;
    this.#sessionId = sessionId;
  }

  get current(): Abilities {
    const { capabilities, capacity } = this.#own ?? this.#runtime.config.team;
    return { capabilities, capacity };
  }

  /** For the metadata of the chat. */
  get mark(): Record<string, boolean> {
    return this.#own === null ? {} : { [ownMark]: true };
  }

  change(given: Partial<Abilities>): void {
    this.#own = { ...this.current, ...given };
  }

  /** Only the coordinator knows what an earlier process of this chat has stated: the chat is not registered without it. */
  async recall(): Promise<Result<null, Trouble>> {
    const isMember = this.#runtime.store.read((sql) => members.has(sql, this.#sessionId), false);
    if (!isMember || this.#isRecalled) return ok(null);
    const found = await this.#link.call("chats.get", { chat: this.#sessionId }, withinMs);
    if (!found.ok && found.error.code !== "unknown_chat") return found;
    this.#isRecalled = true;
    if (found.ok && found.value.metadata[ownMark] === true) this.#own ??= found.value;
    return ok(null);
  }
}
