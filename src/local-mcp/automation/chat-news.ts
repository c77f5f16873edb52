import type { Health, Heartbeat } from "../../contract/chats.ts";
import type { Outside } from "../edge/outside.ts";
import type { ChatLink } from "../link/chat-link.ts";

/** How the worker is. */
export type ChatState = Required<Pick<Heartbeat, "status" | "taskCount" | "progress">>;

const everyMs = 15_000;
const withinMs = 5_000;

/** Heartbeats of the worker's chat: when something has changed, and now and then. [WK4] */
export class ChatNews {
  readonly #link: ChatLink;
  readonly #clock: Outside["clock"];
  readonly #health: () => Health;
  #told = "";
  #toldAt = Number.NEGATIVE_INFINITY;
  #isTelling = false;

  constructor(link: ChatLink, clock: Outside["clock"], health: () => Health) {
    this.#link = link;
    this.#clock = clock;
    this.#health = health;
  }

  /** One at a time; what could not be told now is told with one of the next. @param isForced somebody has to ask something */
  async tell(state: ChatState, isForced: boolean): Promise<void> {
    const text = JSON.stringify(state);
    const isDue = this.#clock.monotonic() - this.#toldAt >= everyMs;
    if (this.#isTelling || !(isForced || isDue || text !== this.#told)) return;
    this.#isTelling = true;
    const answer = await this.#link.call("chats.heartbeat", { ...state, health: this.#health() }, withinMs);
    this.#isTelling = false;
    if (!answer.ok) return;
    this.#told = text;
    this.#toldAt = this.#clock.monotonic();
  }
}
