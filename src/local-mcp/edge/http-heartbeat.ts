import type { Refusal } from "../../contract/errors.ts";
import type { Self } from "../../contract/values.ts";
import type { Ask } from "./outcome.ts";
import type { Outside } from "./outside.ts";
import type { Registration } from "./registration.ts";
import type { Instant } from "./trust.ts";

export interface HeartbeatHandlers {
  readonly onAlive: (sentAt: Instant) => void;
  readonly onUnread: () => void;
  readonly onRefused: (self: Self, error: Refusal) => void;
}

/** Of one heartbeat, in ms. */
const withinMs = 10_000;

/** [EC6] Without a socket a chat says by itself that it lives, as often as it would ping. */
export class HttpHeartbeat {
  readonly #setTimer: Outside["setTimer"];
  readonly #registration: Registration;
  readonly #ask: Ask;
  readonly #handlers: HeartbeatHandlers;
  #run = 0;
  #cancelTimer: () => void = () => undefined;

  constructor(setTimer: Outside["setTimer"], registration: Registration, ask: Ask, handlers: HeartbeatHandlers) {
    this.#setTimer = setTimer;
    this.#registration = registration;
    this.#ask = ask;
    this.#handlers = handlers;
  }

  start(): void {
    this.stop();
    const run = this.#run;
    this.#cancelTimer = this.#setTimer(() => void this.#beat(run), this.#registration.pingIntervalMs);
  }

  stop(): void {
    this.#run += 1;
    this.#cancelTimer();
  }

  async #beat(run: number): Promise<void> {
    const { self } = this.#registration;
    if (!self) return this.start();
    const outcome = await this.#ask("chats.heartbeat", { self }, withinMs);
    if (run !== this.#run) return;
    this.start();
    if (outcome.kind !== "answered") return;
    this.#handlers.onAlive(outcome.sentAt);
    const { result } = outcome;
    if (!result.ok) this.#handlers.onRefused(self, result.error);
    else if (result.value.unread > 0) this.#handlers.onUnread();
  }
}
