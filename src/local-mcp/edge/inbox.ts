import type { Message } from "../../contract/messages.ts";
import { messageOf } from "../../shared/error.ts";
import type { Calls } from "./calls.ts";
import type { EdgeEvent, Emitter, Signal } from "./events.ts";
import type { Outside } from "./outside.ts";

/** Takes in one message; it is acknowledged when this is done, and comes again when this throws. */
export type TakeMessage = (message: Message) => void | Promise<void>;

export interface InboxSurroundings {
  readonly outside: Pick<Outside, "setTimer">;
  readonly calls: Calls;
  readonly events: Emitter<EdgeEvent>;
  readonly signals: Emitter<Signal>;
  readonly hasChat: () => boolean;
}

/** Push is only a hint: it asks at least so often, in ms. */
const pullMs = 30_000;
const page = 100;

/** The messages of this client's chat: at least once, those of higher priority first, until they are acknowledged. [EC17] */
export class Inbox {
  readonly #around: InboxSurroundings;
  readonly #take: TakeMessage;
  readonly #stopHearing: () => void;
  /** Taken in, but not known to be acknowledged. */
  readonly #taken = new Set<number>();
  #isWanted = false;
  #isPulling = false;
  #isClosed = false;
  #cancelTimer: () => void = () => undefined;

  constructor(around: InboxSurroundings, take: TakeMessage) {
    this.#around = around;
    this.#take = take;
    this.#stopHearing = around.signals.on(({ method }) => {
      if (method === "closed") this.close();
      else if (method === "messages.new" || method === "registered" || method === "unread") this.pull();
    });
    this.pull();
  }

  /** Asks now. */
  pull(): void {
    this.#isWanted = true;
    if (!this.#isPulling && !this.#isClosed) void this.#pullAll();
  }

  close(): void {
    this.#isClosed = true;
    this.#stopHearing();
    this.#cancelTimer();
  }

  async #pullAll(): Promise<void> {
    this.#isPulling = true;
    this.#cancelTimer();
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false;
      const isMore = this.#around.hasChat() && (await this.#pullPage());
      this.#isWanted ||= isMore;
    }
    this.#isPulling = false;
    if (!this.#isClosed) this.#cancelTimer = this.#around.outside.setTimer(() => this.pull(), pullMs);
  }

  /** @returns whether more can be had at once */
  async #pullPage(): Promise<boolean> {
    const { result } = await this.#around.calls.call("messages.pull", { limit: page });
    if (!result.ok) return false;
    const { messages, isMore } = result.value;
    if (messages.length === 0) return isMore;
    const done: number[] = [];
    for (const message of messages) {
      if (this.#isClosed) break;
      if (await this.#takeOnce(message)) done.push(message.id);
    }
    return (await this.#acknowledge(done)) && isMore;
  }

  /** A message whose acknowledgement was lost is not taken in twice here. */
  async #takeOnce(message: Message): Promise<boolean> {
    if (this.#taken.has(message.id)) return true;
    try {
      await this.#take(message);
      this.#taken.add(message.id);
      return true;
    } catch (error) {
      const text = `message ${message.id} was not taken in and comes again: ${messageOf(error)}`;
      this.#around.events.emit({ type: "problem", message: text });
      return false;
    }
  }

  /** @returns whether something was acknowledged: else the same messages would come again at once */
  async #acknowledge(ids: readonly number[]): Promise<boolean> {
    if (ids.length === 0) return false;
    const { result } = await this.#around.calls.call("messages.ack", { ids: [...ids] });
    if (!result.ok) return false;
    for (const id of ids) this.#taken.delete(id);
    return true;
  }
}
