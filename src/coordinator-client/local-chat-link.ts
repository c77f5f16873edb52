import { type CallError, endOf, retryOf } from "../contract/errors.ts";
import type { Operation } from "../contract/operation.ts";
import { operations, type InputOf, type OperationName, type OutputOf } from "../contract/operations.ts";
import type { Change } from "../contract/state.ts";
import type { Self } from "../contract/values.ts";
import { err, type Result } from "../shared/result.ts";
import type { CallInput } from "./edge/calls.ts";
import type { CallName } from "./edge/client.ts";
import { newId, type Platform } from "./edge/platform.ts";
import { StoreError } from "../store/store-error.ts";
import type { ChatInput, ChatLink, HintKind } from "./chat-link.ts";
import { LocalWatch } from "./local-watch.ts";

export interface LocalCalls {
  call<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<Result<OutputOf<Name>, CallError>>;
  version(): number;
}

/** [EM2] Longest gap between calls, each of which releases what dead chats held, in ms. */
const pollEveryMs = 500;
const pollVersionEveryMs = 250;

export class LocalChatLink implements ChatLink {
  readonly pollEveryMs = pollEveryMs;
  readonly #coordinator: LocalCalls;
  readonly #platform: Pick<Platform, "setTimer" | "random" | "clock">;
  readonly #lostListeners = new Set<(reason: string) => void>();
  #chat: ChatInput | null = null;
  #self: Self | null = null;

  constructor(coordinator: LocalCalls, platform: Pick<Platform, "setTimer" | "random" | "clock">) {
    this.#coordinator = coordinator;
    this.#platform = platform;
  }

  get self(): Self | null {
    return this.#self;
  }

  async register(chat: ChatInput): Promise<Result<OutputOf<"chats.register">, CallError>> {
    this.#chat = chat;
    const registered = await this.#request("chats.register", chat);
    if (registered.ok) this.#self = { chat: chat.chat, incarnation: registered.value.incarnation };
    return registered;
  }

  async call<Name extends CallName>(
    name: Name,
    partialInput: CallInput<Name>,
  ): Promise<Result<OutputOf<Name>, CallError>> {
    const { shape }: Operation["input"] = operations[name].input;
    const input: Record<string, unknown> = { ...partialInput };
    if ("requestId" in shape) input["requestId"] ??= newId(this.#platform);
    if ("self" in shape) input["self"] ??= this.#self;
    if (input["self"] === null) return err({ code: "not_registered", message: `${name} needs a registered chat` });
    const answer = await this.#request(name, input as InputOf<Name>);
    if (!answer.ok) await this.#onRefused(answer.error);
    return answer;
  }

  onHint(listener: (hint: HintKind) => void): () => void {
    let lastVersion: number | null = null;
    let cancel: (() => void) | null = null;
    const check = (): void => {
      cancel = this.#platform.setTimer(check, pollVersionEveryMs);
      const now = this.#version();
      const hasChanged = lastVersion !== null && now !== null && now !== lastVersion;
      lastVersion = now ?? lastVersion;
      if (hasChanged) listener("any");
    };
    check();
    return () => cancel?.();
  }

  onLost(listener: (reason: string) => void): () => void {
    this.#lostListeners.add(listener);
    return () => void this.#lostListeners.delete(listener);
  }

  watch(prefix: string, listener: (changes: readonly Change[] | null) => void): () => void {
    const watch = new LocalWatch((name, input) => this.#request(name, input), prefix, listener);
    void watch.check();
    const stop = this.onHint(() => void watch.check());
    return () => {
      watch.close();
      stop();
    };
  }

  async leave(): Promise<void> {
    const self = this.#self;
    this.#self = null;
    this.#chat = null;
    if (self) await this.#request("chats.unregister", { self });
  }

  async #request<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
  ): Promise<Result<OutputOf<Name>, CallError>> {
    try {
      return await this.#coordinator.call(name, input);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return err({ code: error.code, message: error.message });
    }
  }

  #version(): number | null {
    try {
      return this.#coordinator.version();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return null;
    }
  }

  async #onRefused(error: CallError): Promise<void> {
    if (retryOf(error) === "after_registering" && this.#chat) await this.register(this.#chat);
    if (endOf(error) === "chat") for (const listener of this.#lostListeners) listener(error.message);
  }
}
