import { isLost, type CallError } from "../../contract/errors.ts";
import type { Guard } from "../../contract/state.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { EdgeEvent, Emitter, LeaseState } from "./events.ts";
import type { Platform } from "./platform.ts";
import type { Ping } from "./registration.ts";
import { Renewal } from "./renewal.ts";
import { elapsedMs, readClock, trustedForMs, toTrust, type Instant, type Trust } from "./trust.ts";

export interface LeaseGrant {
  readonly token: number;
  readonly ttlMs: number;
  readonly remainingMs: number;
  /** Bound to the chat's life: pings renew it. */
  readonly isBound: boolean;
}

export interface DatedGrant {
  readonly grant: LeaseGrant;
  readonly sentAt: Instant;
}

export interface DatedResult<Value> {
  readonly result: Result<Value, CallError>;
  readonly sentAt: Instant;
}

export interface LeaseOperations {
  readonly name: string;
  renew(deadlineMs: number): Promise<DatedResult<LeaseGrant>>;
  /** Read-only; null: no longer held. */
  check(deadlineMs: number): Promise<DatedResult<LeaseGrant | null>>;
  release(): Promise<Result<boolean, CallError>>;
}

export interface HeldLeaseDeps {
  readonly platform: Pick<Platform, "clock" | "setTimer">;
  readonly events: Emitter<EdgeEvent>;
  readonly registrationNumber: () => number | null;
  readonly lastPing: () => Ping | null;
  /** How often a holder renews at least, in ms. */
  readonly maxRenewMs: number;
}

/** Interval of checks on a bound lease, since pings do not report its loss, in ms. */
const boundCheckEveryMs = 300_000;

export interface HeldLease {
  readonly name: string;
  readonly token: number;
  readonly state: LeaseState;
  readonly guard: Guard;
  /** Whether the holder may act on it now without asking. */
  isTrusted(): boolean;
  /** Call before acting on the lease; asks the coordinator unless it is trusted. */
  confirm(): Promise<Result<Guard, CallError>>;
  /** Ends trust at once, even if the request fails. False: it was no longer held. */
  release(): Promise<Result<boolean, CallError>>;
}

/** [EC12] [EC13] Renews in time; trusts it only while the coordinator must keep it. */
export class RenewedLease implements HeldLease {
  readonly name: string;
  readonly token: number;
  readonly #deps: HeldLeaseDeps;
  readonly #operations: LeaseOperations;
  readonly #onEnd: (state: "lost" | "released", reason: string) => void;
  #state: LeaseState = "doubtful";
  #grant: LeaseGrant;
  #trust: Trust | null = null;
  #registrationNumber: number | null = null;
  #checkedAt: Instant;
  #lastTriedAt: Instant;
  readonly #renewal: Renewal<Result<void, CallError>>;

  constructor(
    deps: HeldLeaseDeps,
    operations: LeaseOperations,
    { grant, sentAt }: DatedGrant,
    onEnd: (state: "lost" | "released", reason: string) => void,
  ) {
    this.#deps = deps;
    this.#operations = operations;
    this.#onEnd = onEnd;
    this.#grant = grant;
    this.#checkedAt = sentAt;
    this.#lastTriedAt = sentAt;
    this.name = operations.name;
    this.token = grant.token;
    this.#renewal = new Renewal(deps.platform, { check: () => this.#check(), renew: () => this.#renew() });
  }

  get state(): LeaseState {
    return this.#state;
  }

  get guard(): Guard {
    return { resource: this.name, token: this.token };
  }

  isTrusted(): boolean {
    return this.#trustedForMs() > 0;
  }

  async confirm(): Promise<Result<Guard, CallError>> {
    if (this.isTrusted()) return ok(this.guard);
    const checked = this.#hasEnded() ? err(this.#notHeldError()) : await this.#renewal.renew();
    if (!checked.ok) return checked;
    return this.isTrusted() ? ok(this.guard) : err(this.#notHeldError());
  }

  release(): Promise<Result<boolean, CallError>> {
    this.#setState("released", "released by its holder");
    return this.#operations.release();
  }

  start(registrationNumber: number | null): void {
    this.#applyGrant(this.#grant, this.#checkedAt, registrationNumber);
    this.#renewal.check();
  }

  recheck(cause: "registered" | "jump" | "usable" | "hint"): void {
    if (this.#hasEnded()) return;
    const isStillTrusted = this.isTrusted() && (cause === "usable" || (cause === "registered" && !this.#grant.isBound));
    if (!isStillTrusted) void this.#renewal.renew();
    else this.#renewal.check();
  }

  leave(): void {
    this.#setState("released", "the chat has left");
  }

  stopRenewing(): void {
    void this.#renewal.stop();
  }

  #hasEnded(): boolean {
    return this.#state === "lost" || this.#state === "released";
  }

  #notHeldError(): CallError {
    return { code: "not_holder", message: `${this.name} is no longer held` };
  }

  get #isKeptByPings(): boolean {
    return this.#registrationNumber !== null && this.#deps.lastPing()?.registrationNumber === this.#registrationNumber;
  }

  #trustedForMs(): number {
    if (this.#hasEnded()) return 0;
    this.#prolongByPing();
    return this.#trust ? trustedForMs(this.#trust, readClock(this.#deps.platform.clock)) : 0;
  }

  /** A ping proves nothing after a gap in which the lease may have ended. */
  #prolongByPing(): void {
    const ping = this.#isKeptByPings ? this.#deps.lastPing() : null;
    if (!ping || !this.#trust || trustedForMs(this.#trust, ping.answeredAt) === 0) return;
    const { ttlMs } = this.#grant;
    const byPing = toTrust(ping.sentAt, ttlMs, ttlMs);
    if (trustedForMs(byPing, ping.answeredAt) > trustedForMs(this.#trust, ping.answeredAt)) this.#trust = byPing;
  }

  async #renew(): Promise<Result<void, CallError>> {
    const registrationNumber = this.#deps.registrationNumber();
    this.#lastTriedAt = readClock(this.#deps.platform.clock);
    const deadlineMs = Math.max(1_000, this.#grant.ttlMs / 2);
    // Under a new registration it may no longer be bound: only a renewal shows.
    const isReadOnly = this.#isKeptByPings && this.#registrationNumber === registrationNumber && this.isTrusted();
    const { result, sentAt } = await (isReadOnly
      ? this.#operations.check(deadlineMs)
      : this.#operations.renew(deadlineMs));
    if (this.#hasEnded()) return err(this.#notHeldError());
    if (result.ok && result.value !== null) {
      this.#applyGrant(result.value, sentAt, registrationNumber);
      return ok(undefined);
    }
    const error = result.ok ? this.#notHeldError() : result.error;
    // After any other failure its state is unknown.
    if (isLost(error, "lease")) this.#setState("lost", error.message);
    return err(error);
  }

  #applyGrant(grant: LeaseGrant, sentAt: Instant, registrationNumber: number | null): void {
    this.#grant = grant;
    this.#trust = toTrust(sentAt, grant.remainingMs, grant.ttlMs);
    this.#registrationNumber =
      grant.isBound && registrationNumber === this.#deps.registrationNumber() ? registrationNumber : null;
    this.#checkedAt = sentAt;
  }

  #check(): { readonly isDue: boolean; readonly nextInMs: number } | null {
    if (this.#hasEnded()) return null;
    const leftMs = this.#trustedForMs();
    if (leftMs > 0) this.#setState("trusted", "confirmed");
    else this.#setState("doubtful", "not confirmed in time, or a clock has jumped");
    const dueMs = this.#dueInMs(leftMs);
    const retryMs = retryDelayMs(this.#grant);
    return { isDue: dueMs <= 0, nextInMs: Math.min(dueMs > 0 ? dueMs : retryMs, leftMs > 0 ? leftMs : retryMs) };
  }

  #dueInMs(leftMs: number): number {
    const now = readClock(this.#deps.platform.clock);
    const retryInMs = retryDelayMs(this.#grant) - elapsedMs(this.#lastTriedAt, now);
    if (leftMs === 0) return retryInMs;
    const everyMs = this.#isKeptByPings ? boundCheckEveryMs : Math.min(this.#deps.maxRenewMs, this.#grant.ttlMs / 2);
    return Math.max(retryInMs, everyMs - elapsedMs(this.#checkedAt, now));
  }

  #setState(state: LeaseState, reason: string): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#deps.events.emit({ type: "right", name: this.name, state, reason });
    if (state !== "lost" && state !== "released") return;
    void this.#renewal.stop();
    this.#onEnd(state, reason);
  }
}

function retryDelayMs({ ttlMs }: LeaseGrant): number {
  return Math.min(5_000, ttlMs / 8);
}
