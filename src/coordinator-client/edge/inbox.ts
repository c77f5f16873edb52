import type { Message } from "../../contract/messages.ts";
import { messageOf } from "../../shared/error.ts";
import type { Calls } from "./calls.ts";
import type { EdgeEvent, Emitter, Signal } from "./events.ts";
import type { Platform } from "./platform.ts";

/** Acknowledged when it returns; redelivered when it throws. */
export type MessageHandler = (message: Message) => void | Promise<void>;

export interface InboxDeps {
  readonly platform: Pick<Platform, "setTimer">;
  readonly calls: Calls;
  readonly events: Emitter<EdgeEvent>;
  readonly signals: Emitter<Signal>;
  readonly hasChat: () => boolean;
}

const pullEveryMs = 30_000;
const pageSize = 100;

/** [EC17] [EC48] Delivers at least once, higher priority first, until acknowledged. */
export class Inbox {
  readonly #deps: InboxDeps;
  readonly #onMessage: MessageHandler;
  readonly #stopSignals: () => void;
  /** Handled, but not known to be acknowledged. */
  readonly #unacknowledged = new Set<number>();
  #isPullWanted = false;
  #isBusy = false;
  /** The highest id that was received or acknowledged. */
  #newest = 0;
  #isClosed = false;
  #cancelTimer: () => void = () => undefined;

  constructor(deps: InboxDeps, onMessage: MessageHandler) {
    this.#deps = deps;
    this.#onMessage = onMessage;
    this.#stopSignals = deps.signals.on((signal) => {
      if (signal.method === "closed") this.close();
      else if (signal.method === "messages.new") this.#onHint(signal.params?.message);
      else if (signal.method === "registered" || signal.method === "unread") this.pull();
    });
    this.pull();
  }

  pull(): void {
    this.#isPullWanted = true;
    if (!this.#isBusy && !this.#isClosed) void this.#run();
  }

  /** [EC48] A pull under way may return the same message, and an older one may be late. */
  #onHint(message: Message | undefined): void {
    const isNext = message && !this.#isBusy && message.id > this.#newest && this.#deps.hasChat();
    if (!isNext) return this.pull();
    void this.#run(message);
  }

  close(): void {
    this.#isClosed = true;
    this.#stopSignals();
    this.#cancelTimer();
  }

  async #run(carried?: Message): Promise<void> {
    this.#isBusy = true;
    this.#cancelTimer();
    if (carried) await this.#deliver([carried]);
    while (this.#isPullWanted && !this.#isClosed) {
      this.#isPullWanted = false;
      const isMore = this.#deps.hasChat() && (await this.#pullPage());
      this.#isPullWanted ||= isMore;
    }
    this.#isBusy = false;
    if (!this.#isClosed) this.#cancelTimer = this.#deps.platform.setTimer(() => this.pull(), pullEveryMs);
  }

  async #pullPage(): Promise<boolean> {
    const { result } = await this.#deps.calls.call("messages.pull", { limit: pageSize });
    if (!result.ok) return false;
    const { messages, isMore, cursor } = result.value;
    this.#newest = Math.max(this.#newest, cursor);
    return messages.length === 0 ? isMore : (await this.#deliver(messages)) && isMore;
  }

  /** @returns whether any was acknowledged */
  async #deliver(messages: readonly Message[]): Promise<boolean> {
    const handledIds: number[] = [];
    for (const message of messages) {
      if (this.#isClosed) break;
      this.#newest = Math.max(this.#newest, message.id);
      if (await this.#handleOnce(message)) handledIds.push(message.id);
    }
    return this.#acknowledge(handledIds);
  }

  /** A message whose acknowledgement was lost is not handled again. */
  async #handleOnce(message: Message): Promise<boolean> {
    if (this.#unacknowledged.has(message.id)) return true;
    try {
      await this.#onMessage(message);
      this.#unacknowledged.add(message.id);
      return true;
    } catch (error) {
      const text = `message ${message.id} was not handled and will be delivered again: ${messageOf(error)}`;
      this.#deps.events.emit({ type: "problem", message: text });
      return false;
    }
  }

  /** @returns whether any was acknowledged; else the same messages would return at once */
  async #acknowledge(ids: readonly number[]): Promise<boolean> {
    if (ids.length === 0) return false;
    const { result } = await this.#deps.calls.call("messages.ack", { ids: [...ids] });
    if (!result.ok) return false;
    for (const id of ids) this.#unacknowledged.delete(id);
    return true;
  }
}
