import type { CallError } from "../../contract/errors.ts";
import type { Self } from "../../contract/values.ts";
import type { SendRequest } from "./request-outcome.ts";
import type { Platform } from "./platform.ts";
import type { Registration } from "./registration.ts";
import type { Instant } from "./trust.ts";

export interface HeartbeatHandlers {
  readonly onAlive: (sentAt: Instant) => void;
  readonly onUnread: () => void;
  readonly onRefused: (self: Self, error: CallError) => void;
}

const timeoutMs = 10_000;

export class HttpHeartbeat {
  readonly #setTimer: Platform["setTimer"];
  readonly #registration: Registration;
  readonly #send: SendRequest;
  readonly #handlers: HeartbeatHandlers;
  #run = 0;
  #cancelTimer: () => void = () => undefined;

  constructor(
    setTimer: Platform["setTimer"],
    registration: Registration,
    send: SendRequest,
    handlers: HeartbeatHandlers,
  ) {
    this.#setTimer = setTimer;
    this.#registration = registration;
    this.#send = send;
    this.#handlers = handlers;
  }

  start(): void {
    this.stop();
    const run = this.#run;
    this.#cancelTimer = this.#setTimer(() => void this.#sendHeartbeat(run), this.#registration.pingIntervalMs);
  }

  stop(): void {
    this.#run += 1;
    this.#cancelTimer();
  }

  async #sendHeartbeat(run: number): Promise<void> {
    const { self } = this.#registration;
    if (!self) return this.start();
    const outcome = await this.#send("chats.heartbeat", { self }, timeoutMs);
    if (run !== this.#run) return;
    this.start();
    if (outcome.kind !== "answered") return;
    this.#handlers.onAlive(outcome.sentAt);
    const { result } = outcome;
    if (!result.ok) this.#handlers.onRefused(self, result.error);
    else if (result.value.unread > 0) this.#handlers.onUnread();
  }
}
