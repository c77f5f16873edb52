import { errorTable, type Refusal } from "../../contract/errors.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import { maxPingIntervalMs } from "../../contract/protocol.ts";
import type { Self } from "../../contract/values.ts";
import { fullJitter } from "../../shared/backoff.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { EdgeEvent, Emitter, Signal } from "./events.ts";
import { isUseless, type EdgeError } from "./failure.ts";
import type { Ask, Outcome } from "./outcome.ts";
import type { Outside } from "./outside.ts";
import type { Instant } from "./trust.ts";

export type Registered = OutputOf<"chats.register">;
export type Wanted = InputOf<"chats.register">;

/** One that was answered, and the life of the registration that it has prolonged. */
export interface Ping {
  readonly sentAt: Instant;
  readonly life: number;
}

/** Of one attempt, in ms. */
const registerWithinMs = 10_000;
const retry = { baseMs: 1_000, capMs: 30_000 };

/** The chat of this client, registered anew on each connection, before anything else is asked there. [EC5] */
export class Registration {
  readonly #outside: Pick<Outside, "setTimer" | "random">;
  readonly #events: Emitter<EdgeEvent>;
  readonly #signals: Emitter<Signal>;
  #wanted: Wanted | null = null;
  #current: Registered | null = null;
  /** Somebody waits for the first answer. */
  #tell: ((result: Result<Registered, EdgeError>) => void) | null = null;
  #isSent = false;
  #life = 0;
  #isBound = false;
  #attempt = 0;
  #cancelRetry: () => void = () => undefined;

  constructor(outside: Pick<Outside, "setTimer" | "random">, events: Emitter<EdgeEvent>, signals: Emitter<Signal>) {
    this.#outside = outside;
    this.#events = events;
    this.#signals = signals;
  }

  /** Who acts in requests of this client; null before the first registration, and when the chat is lost. */
  get self(): Self | null {
    return this.#current && { chat: this.#current.chat, incarnation: this.#current.incarnation };
  }

  /** In whose name connections are opened. */
  get chat(): string | null {
    return this.#wanted?.chat ?? null;
  }

  /** Another number after each registration; null while the chat is not known to be registered. */
  get life(): number | null {
    return this.#isBound ? this.#life : null;
  }

  get pingIntervalMs(): number {
    return this.#current?.pingIntervalMs ?? maxPingIntervalMs;
  }

  isOwn(self: Self): boolean {
    return self.chat === this.#current?.chat && self.incarnation === this.#current.incarnation;
  }

  /** From now on this chat is registered on each connection. @returns the first answer */
  want(wanted: Wanted, deadlineMs: number): Promise<Result<Registered, EdgeError>> {
    this.forget("another chat is registered instead");
    this.#wanted = wanted;
    return new Promise((resolve) => {
      this.#isSent = false;
      const cancel = this.#outside.setTimer(() => this.#tell?.(err(this.#late())), deadlineMs);
      this.#tell = (result) => {
        this.#tell = null;
        cancel();
        if (!result.ok) this.forget("");
        resolve(result);
      };
    });
  }

  #late(): EdgeError {
    const message = "chats.register: no coordinator in time";
    return { code: this.#isSent ? "outcome_unknown" : "unreachable", message };
  }

  /**
   * Registers, by the given way.
   *
   * @param again asks so once more, later, where the refusal allows it
   * @returns null when there is no chat to register
   */
  async renew(ask: Ask, again: () => void): Promise<Outcome<Registered> | null> {
    const wanted = this.#wanted;
    this.unbind();
    if (!wanted) return null;
    const life = this.#life;
    const outcome = await ask("chats.register", wanted, registerWithinMs);
    this.#isSent ||= outcome.kind !== "lost" || outcome.isSent;
    // Meanwhile it was registered in another way, or given up.
    if (life !== this.#life) return outcome;
    if (outcome.kind !== "answered") this.#later(0, again);
    else if (outcome.result.ok) this.#take(outcome.result.value);
    else this.#refused(outcome.result.error, again);
    return outcome;
  }

  /** What was known by the last connection holds no more. */
  unbind(): void {
    this.#life += 1;
    this.#isBound = false;
    this.#cancelRetry();
  }

  /** [EC5] It is not registered again. */
  lose(error: Refusal): void {
    const chat = this.#current?.chat;
    this.forget(error.message);
    if (chat !== undefined) this.#events.emit({ type: "chat-lost", chat, error });
  }

  forget(reason: string): void {
    this.unbind();
    this.#wanted = null;
    this.#current = null;
    this.#tell?.(err({ code: "closed", message: reason }));
  }

  #take(registered: Registered): void {
    this.unbind();
    this.#isBound = true;
    this.#attempt = 0;
    this.#current = registered;
    const { chat, incarnation, isNew, wasOffline } = registered;
    this.#events.emit({ type: "registered", chat, incarnation, isNew, wasOffline });
    this.#signals.emit({ method: "registered" });
    this.#tell?.(ok(registered));
  }

  #refused(error: Refusal, again: () => void): void {
    if (this.#tell && !isUseless(error)) return this.#tell(err(error));
    // Who works on the session instead will not give it back.
    if (error.code === "session_in_use" || !errorTable[error.code].retryable) return this.lose(error);
    this.#events.emit({ type: "problem", message: `the chat is not registered: ${error.message}` });
    this.#later(error.retryAfterMs ?? 0, again);
  }

  #later(leastMs: number, again: () => void): void {
    const waitMs = leastMs + fullJitter(retry, this.#attempt, this.#outside.random);
    this.#attempt += 1;
    this.#cancelRetry = this.#outside.setTimer(again, waitMs);
  }
}
