import { isRefusal, isRetryable, isTransient, retryOf, type CallError } from "../../contract/errors.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import { maxPingIntervalMs } from "../../contract/protocol.ts";
import type { Self } from "../../contract/values.ts";
import { fullJitter } from "../../shared/backoff.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { EdgeEvents } from "./events.ts";
import type { SendRequest, RequestOutcome } from "./request-outcome.ts";
import type { Platform } from "./platform.ts";

export type RegisteredChat = OutputOf<"chats.register">;
export type ChatInput = InputOf<"chats.register">;

const registerTimeoutMs = 10_000;
const retryBackoff = { baseMs: 1_000, capMs: 30_000 };

/** [EC5] Registers the chat on each connection before any other request. */
export class Registration {
  readonly #platform: Pick<Platform, "setTimer" | "random">;
  readonly #events: EdgeEvents;
  #chatInput: ChatInput | null = null;
  #current: RegisteredChat | null = null;
  #resolveFirst: ((result: Result<RegisteredChat, CallError>) => void) | null = null;
  #isSent = false;
  /** Changes with whatever makes an answer outdated. */
  #round = 0;
  #attempt = 0;
  #cancelRetry: () => void = () => undefined;

  constructor(platform: Pick<Platform, "setTimer" | "random">, events: EdgeEvents) {
    this.#platform = platform;
    this.#events = events;
  }

  get self(): Self | null {
    return this.#current && { chat: this.#current.chat, incarnation: this.#current.incarnation };
  }

  get chat(): string | null {
    return this.#chatInput?.chat ?? null;
  }

  get pingIntervalMs(): number {
    return this.#current?.pingIntervalMs ?? maxPingIntervalMs;
  }

  setChat(chatInput: ChatInput, deadlineMs: number): Promise<Result<RegisteredChat, CallError>> {
    this.forget("another chat is registered instead");
    this.#chatInput = chatInput;
    return new Promise((resolve) => {
      this.#isSent = false;
      const cancel = this.#platform.setTimer(() => this.#resolveFirst?.(err(this.#timeoutError())), deadlineMs);
      this.#resolveFirst = (result) => {
        this.#resolveFirst = null;
        cancel();
        if (!result.ok) this.forget("");
        resolve(result);
      };
    });
  }

  #timeoutError(): CallError {
    const message = "chats.register: the coordinator was not reached in time";
    return { code: this.#isSent ? "outcome_unknown" : "unreachable", message };
  }

  async register(ask: SendRequest, retry: () => void): Promise<RequestOutcome<RegisteredChat> | null> {
    const chatInput = this.#chatInput;
    this.unbind();
    if (!chatInput) return null;
    const round = this.#round;
    const outcome = await ask("chats.register", chatInput, registerTimeoutMs);
    this.#isSent ||= outcome.kind !== "lost" || outcome.isSent;
    if (round !== this.#round) return outcome;
    if (outcome.kind !== "answered") this.#scheduleRetry(0, retry);
    else if (outcome.result.ok) this.#accept(outcome.result.value);
    else this.#onRefused(outcome.result.error, retry);
    return outcome;
  }

  /** Whatever is under way counts no more. */
  unbind(): void {
    this.#round += 1;
    this.#cancelRetry();
  }

  /** @param registerAgain a chat that counts as gone may come back */
  handleRefusal(self: Self | null, error: CallError, registerAgain: () => void): void {
    if (self?.chat !== this.#current?.chat || self?.incarnation !== this.#current?.incarnation) return;
    if (retryOf(error) === "after_registering") registerAgain();
    if (error.code === "chat_replaced") this.lose(error);
  }

  lose(error: CallError): void {
    const chat = this.#current?.chat;
    this.forget(error.message);
    if (chat !== undefined) this.#events.emit({ type: "chat-lost", chat, error });
  }

  forget(reason: string): void {
    this.unbind();
    this.#chatInput = null;
    this.#current = null;
    this.#resolveFirst?.(err({ code: "closed", message: reason }));
  }

  #accept(registered: RegisteredChat): void {
    this.unbind();
    this.#attempt = 0;
    this.#current = registered;
    const { chat, incarnation, isNew, wasOffline } = registered;
    this.#events.emit({ type: "registered", chat, incarnation, isNew, wasOffline });
    this.#resolveFirst?.(ok(registered));
  }

  /** Repeats only what a coordinator refuses: the caller sees a store that fails. */
  #onRefused(error: CallError, retry: () => void): void {
    if (this.#resolveFirst && !(isRefusal(error) && isTransient(error))) return this.#resolveFirst(err(error));
    // The process that took over the session will not give it up.
    const isFinal = isRefusal(error) && !isRetryable(error.code);
    if (error.code === "session_in_use" || isFinal) return this.lose(error);
    this.#events.emit({ type: "problem", message: `the chat is not registered: ${error.message}` });
    this.#scheduleRetry(error.retryAfterMs ?? 0, retry);
  }

  #scheduleRetry(minMs: number, retry: () => void): void {
    const waitMs = minMs + fullJitter(retryBackoff, this.#attempt, this.#platform.random);
    this.#attempt += 1;
    this.#cancelRetry = this.#platform.setTimer(retry, waitMs);
  }
}
