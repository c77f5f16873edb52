import type { CallError } from "../../contract/errors.ts";
import type { InputOf, OperationName, OutputOf } from "../../contract/operations.ts";
import type { Self } from "../../contract/values.ts";
import { err, type Result } from "../../shared/result.ts";
import { exceptStoreErrors, StoreError } from "../../store/store-error.ts";
import { CallQueue } from "../edge/call-queue.ts";
import type { ClientConnection } from "../edge/client-connection.ts";
import type { ConnectionState, Emitter, Signal } from "../edge/events.ts";
import type { Platform } from "../edge/platform.ts";
import type { Registration } from "../edge/registration.ts";
import type { SendRequest } from "../edge/request-outcome.ts";
import { readClock } from "../edge/trust.ts";

export interface LocalCalls {
  call<Name extends OperationName>(name: Name, input: InputOf<Name>): MaybeAsync<Result<OutputOf<Name>, CallError>>;
  /** Changes after each commit of another process. */
  version(): number;
  /** Calls `check` after commits until it returns true; null: not possible now. */
  watchCommits?(check: () => boolean): (() => void) | null;
  close(): void;
}

type MaybeAsync<T> = T | Promise<T>;

/** Poll interval in ms of the file's version while no watch reports commits. */
const pollVersionEveryMs = 250;
/** The same beside a watch, which may report none on a network disk. */
const slowPollVersionEveryMs = 2_000;

/** [EM1] In this process: always up; watches for what other processes change. */
export class LocalConnection implements ClientConnection {
  readonly isPushing = false;
  readonly generation = 0;
  readonly lastPing = null;
  /** [EM2] Each call releases what dead chats held. */
  readonly pollEveryMs = 500;
  readonly waiterPollMs = 200;
  readonly maxRenewMs = 2_000;
  readonly sendDirectly = null;
  readonly callQueue: CallQueue;
  readonly #coordinator: LocalCalls;
  readonly #platform: Pick<Platform, "setTimer" | "clock">;
  readonly #registration: Registration;
  readonly #signals: Emitter<Signal>;
  #state: ConnectionState = "disconnected";
  #version: number | null = null;
  #cancelTimer: () => void = () => undefined;
  #unwatch: (() => void) | null = null;

  constructor(
    coordinator: LocalCalls,
    platform: Pick<Platform, "setTimer" | "clock">,
    registration: Registration,
    signals: Emitter<Signal>,
  ) {
    this.#coordinator = coordinator;
    this.#platform = platform;
    this.#registration = registration;
    this.#signals = signals;
    this.callQueue = new CallQueue(platform.setTimer, 0);
    this.callQueue.open();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  start(): void {
    if (this.#state !== "disconnected") return;
    this.#state = "connected";
    this.#pollVersion();
  }

  close(reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelTimer();
    this.#unwatch?.();
    this.callQueue.close();
    this.#coordinator.close();
    this.#signals.emit({ method: "closed", reason });
  }

  readonly send: SendRequest = async (name, input) => {
    const sentAt = readClock(this.#platform.clock);
    try {
      return { kind: "answered", result: await this.#coordinator.call(name, input), sentAt };
    } catch (error) {
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

  #pollVersion(): void {
    this.#unwatch ??= this.#coordinator.watchCommits?.(() => this.#checkVersion()) ?? null;
    const pollMs = this.#unwatch ? slowPollVersionEveryMs : pollVersionEveryMs;
    this.#cancelTimer = this.#platform.setTimer(() => this.#pollVersion(), pollMs);
    this.#checkVersion();
  }

  #checkVersion(): boolean {
    const version = this.#readVersion() ?? this.#version;
    const hasChanged = this.#version !== null && version !== this.#version;
    this.#version = version;
    if (hasChanged) this.#signals.emit({ method: "changed" });
    return hasChanged;
  }

  /** A file that cannot be read now is read at the next poll. */
  #readVersion(): number | null {
    return exceptStoreErrors<number | null>(
      () => this.#coordinator.version(),
      () => null,
    );
  }
}
