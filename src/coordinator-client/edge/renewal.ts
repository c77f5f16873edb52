import type { Platform } from "./platform.ts";
import { readClock, type Instant } from "./trust.ts";

/** A right that ends unless it is renewed in time. */
export interface Renewable<Answer> {
  /** Ends it when its time is over. @returns null: nothing has to be renewed */
  check(now: Instant): { readonly isDue: boolean; readonly nextInMs: number } | null;
  /** Asks the coordinator; its own timing belongs to the start of the request. */
  renew(): Promise<Answer>;
}

/** Checks in time and after each renewal; renews once at a time. */
export class Renewal<Answer> {
  readonly #platform: Pick<Platform, "clock" | "setTimer">;
  readonly #renewable: Renewable<Answer>;
  #renewing: Promise<Answer> | null = null;
  #isStopped = false;
  #cancelTimer: () => void = () => undefined;

  constructor(platform: Pick<Platform, "clock" | "setTimer">, renewable: Renewable<Answer>) {
    this.#platform = platform;
    this.#renewable = renewable;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  check(): void {
    this.#cancelTimer();
    const next = this.#isStopped ? null : this.#renewable.check(readClock(this.#platform.clock));
    if (next === null || this.#isStopped) return;
    if (next.isDue) void this.renew();
    this.#cancelTimer = this.#platform.setTimer(() => this.check(), Math.max(1, Math.ceil(next.nextInMs)));
  }

  renew(): Promise<Answer> {
    this.#renewing ??= this.#renewable.renew().finally(() => {
      this.#renewing = null;
      this.check();
    });
    return this.#renewing;
  }

  /** @returns the renewal that is still unanswered */
  stop(): Promise<Answer> | null {
    this.#isStopped = true;
    this.#cancelTimer();
    return this.#renewing;
  }
}

/** Four heartbeats fit into the silence that the coordinator allows. */
export function heartbeatIntervalMs(allowedSilenceMs: number): number {
  return Math.min(30_000, allowedSilenceMs / 4);
}
