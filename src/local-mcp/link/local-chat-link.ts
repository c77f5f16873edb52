import type { Operation } from "../../contract/operation.ts";
import { operations, type InputOf, type OperationName, type OutputOf } from "../../contract/operations.ts";
import type { Change } from "../../contract/state.ts";
import type { Self } from "../../contract/values.ts";
import { err, type Result } from "../../shared/result.ts";
import type { Given } from "../edge/calls.ts";
import type { CallName } from "../edge/client.ts";
import { newId, type Outside } from "../edge/outside.ts";
import { StoreError } from "../store/store-error.ts";
import type { Chat, ChatLink, News, Trouble } from "./chat-link.ts";
import { LocalWatch } from "./local-watch.ts";

/** The coordinator of this machine. */
export interface LocalDesk {
  call<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<Result<OutputOf<Name>, Trouble>>;
  /** Another number after each commit of another process. */
  version(): number;
}

/** [EM2] Each call releases what chats that are gone had, so that some call has to come within this time, in ms. */
const pollEveryMs = 500;
const versionEveryMs = 250;
/** Somebody else is this chat, or it was forgotten. */
const lostCodes: ReadonlySet<string> = new Set(["chat_replaced", "unknown_chat"]);

/** Over the file of this machine, which answers at once and sends no events: its version is polled. */
export class LocalChatLink implements ChatLink {
  readonly pollEveryMs = pollEveryMs;
  readonly #desk: LocalDesk;
  readonly #outside: Pick<Outside, "setTimer" | "random" | "clock">;
  readonly #lost = new Set<(reason: string) => void>();
  #chat: Chat | null = null;
  #self: Self | null = null;

  constructor(desk: LocalDesk, outside: Pick<Outside, "setTimer" | "random" | "clock">) {
    this.#desk = desk;
    this.#outside = outside;
  }

  get self(): Self | null {
    return this.#self;
  }

  async register(chat: Chat): Promise<Result<OutputOf<"chats.register">, Trouble>> {
    this.#chat = chat;
    const registered = await this.#ask("chats.register", chat);
    if (registered.ok) this.#self = { chat: chat.chat, incarnation: registered.value.incarnation };
    return registered;
  }

  async call<Name extends CallName>(name: Name, given: Given<Name>): Promise<Result<OutputOf<Name>, Trouble>> {
    const { shape }: Operation["input"] = operations[name].input;
    const filled: Record<string, unknown> = { ...given };
    if ("requestId" in shape) filled["requestId"] ??= newId(this.#outside);
    if ("self" in shape) filled["self"] ??= this.#self;
    if (filled["self"] === null) return err({ code: "not_registered", message: `${name} needs a registered chat` });
    // What was left out is filled in.
    const answer = await this.#ask(name, filled as InputOf<Name>);
    if (!answer.ok) await this.#heed(answer.error);
    return answer;
  }

  onNews(heed: (news: News) => void): () => void {
    let seen: number | null = null;
    let cancel: (() => void) | null = null;
    const check = (): void => {
      cancel = this.#outside.setTimer(check, versionEveryMs);
      const now = this.#version();
      const isNews = seen !== null && now !== null && now !== seen;
      seen = now ?? seen;
      if (isNews) heed("any");
    };
    check();
    return () => cancel?.();
  }

  onLost(heed: (reason: string) => void): () => void {
    this.#lost.add(heed);
    return () => void this.#lost.delete(heed);
  }

  watch(prefix: string, heed: (changes: readonly Change[] | null) => void): () => void {
    const watch = new LocalWatch((name, input) => this.#ask(name, input), prefix, heed);
    void watch.check();
    const stop = this.onNews(() => void watch.check());
    return () => {
      watch.close();
      stop();
    };
  }

  async leave(): Promise<void> {
    const self = this.#self;
    this.#self = null;
    this.#chat = null;
    if (self) await this.#ask("chats.unregister", { self });
  }

  /** A file that cannot be read or written now may be so again in a moment. */
  async #ask<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<Result<OutputOf<Name>, Trouble>> {
    try {
      return await this.#desk.call(name, input);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return err({ code: error.code, message: error.message });
    }
  }

  #version(): number | null {
    try {
      return this.#desk.version();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // The next question says what is wrong with it.
      return null;
    }
  }

  async #heed({ code, message }: Trouble): Promise<void> {
    if (code === "chat_offline" && this.#chat) await this.register(this.#chat);
    if (lostCodes.has(code)) for (const heed of this.#lost) heed(message);
  }
}
