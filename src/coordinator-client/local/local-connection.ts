import type { CallError } from "../../contract/errors.ts";
import type { Self } from "../../contract/values.ts";
import { CallLostError, type LocalCalls } from "../../runtime/local-calls.ts";
import { err } from "../../shared/result.ts";
import { StoreError } from "../../store/store-error.ts";
import type { ClientConnection, Registration } from "../edge/connection.ts";
import type { ConnectionState, EdgeEvents } from "../edge/events.ts";
import type { Platform } from "../edge/platform.ts";
import { lostOutcome, type SendRequest } from "../edge/request-outcome.ts";
import { readClock } from "../edge/trust.ts";

/** Pause in ms after a report of commits: frequent writes must not keep all readers busy. */
const minGapMs = 20;

/** Always up; follows what others change. */
export class LocalConnection implements ClientConnection {
  readonly isPushing = false;
  readonly signalsCommits = true;
  readonly generation = 0;
  readonly maxRenewMs = 2_000;
  readonly sendDirectly = null;
  readonly #coordinator: LocalCalls;
  readonly #platform: Pick<Platform, "setTimer" | "clock">;
  readonly #registration: Registration;
  readonly #events: EdgeEvents;
  #state: ConnectionState = "connected";
  #cancelTimer: () => void = () => undefined;
  #unfollow: (() => void) | null = null;

  constructor(
    coordinator: LocalCalls,
    platform: Pick<Platform, "setTimer" | "clock">,
    registration: Registration,
    events: EdgeEvents,
  ) {
    this.#coordinator = coordinator;
    this.#platform = platform;
    this.#registration = registration;
    this.#events = events;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Reports the first commit of others at once, and later ones together. */
  start(): void {
    if (this.#unfollow || this.#state === "closed") return;
    let isResting = false;
    let isMissed = false;
    const report = (): void => {
      isResting = isMissed;
      if (!isMissed) return;
      isMissed = false;
      this.#cancelTimer = this.#platform.setTimer(report, minGapMs);
      this.#events.emit({ type: "changed" });
    };
    this.#unfollow = this.#coordinator.onCommit(() => {
      isMissed = true;
      if (isResting) return;
      isResting = true;
      this.#cancelTimer = this.#platform.setTimer(report, 0);
    });
  }

  close(reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelTimer();
    this.#unfollow?.();
    this.#coordinator.close();
    this.#events.emit({ type: "state", state: "closed", previous: "connected", reason });
  }

  readonly send: SendRequest = async (name, input, timeoutMs) => {
    const sentAt = readClock(this.#platform.clock);
    try {
      return { kind: "answered", result: await this.#coordinator.call(name, input, timeoutMs), sentAt };
    } catch (error) {
      if (error instanceof CallLostError) return lostOutcome(error.isSent, error.message);
      if (!(error instanceof StoreError)) throw error;
      return { kind: "answered", result: err({ code: error.code, message: error.message }), sentAt };
    }
  };

  registerChat(): void {
    void this.#registration.register(this.send, () => this.registerChat());
  }

  /** A file that was set aside or put back may not know the chat. */
  handleRefusal(self: Self | null, error: CallError): void {
    const code = error.code === "unknown_chat" ? "chat_offline" : error.code;
    this.#registration.handleRefusal(self, { ...error, code }, () => this.registerChat());
  }

  notify(): void {}

  checkClocks(): void {}
}
