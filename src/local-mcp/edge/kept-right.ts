import type { Refusal } from "../../contract/errors.ts";
import type { Guard } from "../../contract/state.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { EdgeEvent, Emitter, RightState } from "./events.ts";
import type { EdgeError } from "./failure.ts";
import type { Outside } from "./outside.ts";
import type { Ping } from "./registration.ts";
import { elapsedMs, read, trustedForMs, trustOf, type Instant, type Trust } from "./trust.ts";

/** What the coordinator says of a lease or a leadership. */
export interface Grant {
  readonly token: number;
  readonly ttlMs: number;
  readonly remainingMs: number;
  /** Lives as long as its chat: pings prolong it. */
  readonly isBound: boolean;
}

export interface Granted {
  readonly grant: Grant;
  readonly sentAt: Instant;
}

/** An answer, and when its request was sent. */
export interface Dated<Value> {
  readonly result: Result<Value, EdgeError>;
  readonly sentAt: Instant;
}

/** How one right is prolonged, looked at and given back. */
export interface RightWays {
  /** As guards name it. */
  readonly name: string;
  renew(deadlineMs: number): Promise<Dated<Grant>>;
  /** Reads only; null: it is not held any more. */
  check(deadlineMs: number): Promise<Dated<Grant | null>>;
  release(): Promise<Result<boolean, EdgeError>>;
}

/** What a right needs to know of the client around it. */
export interface Surroundings {
  readonly outside: Pick<Outside, "clock" | "setTimer">;
  readonly events: Emitter<EdgeEvent>;
  readonly life: () => number | null;
  readonly lastPing: () => Ping | null;
}

/** A bound lease follows pings, which say nothing of one that was taken away: it is looked at this often, in ms. */
const boundCheckMs = 300_000;
/** These say that it is over; other failures that nothing is known. */
const overCodes: ReadonlySet<string> = new Set(["not_holder", "chat_replaced", "unknown_chat"]);

/** A lease or a leadership that this client keeps. */
export interface Right {
  readonly name: string;
  /** The fencing token; the term of a leadership. */
  readonly token: number;
  readonly state: RightState;
  /** What guarded writes carry. */
  readonly guard: Guard;
  /** Whether an act may rely on it now, without asking. */
  isTrusted(): boolean;
  /** Before an act that relies on it: asks the coordinator unless it is trusted. */
  confirm(): Promise<Result<Guard, EdgeError>>;
  /** Gives it back. It is not trusted from now on, whatever becomes of the request; false: it was not held any more. */
  release(): Promise<Result<boolean, EdgeError>>;
}

/** [EC12] [EC13] A lease or a leadership, renewed at half of its time, and trusted only as long as the coordinator is sure to keep it. */
export class KeptRight implements Right {
  readonly name: string;
  readonly token: number;
  readonly #around: Surroundings;
  readonly #ways: RightWays;
  readonly #onOver: (state: "lost" | "released", reason: string) => void;
  #state: RightState = "doubtful";
  #grant: Grant;
  #trust: Trust | null = null;
  /** While pings of this life of the registration prolong it. */
  #life: number | null = null;
  #checkedAt: Instant;
  #triedAt: Instant;
  #checking: Promise<Result<void, EdgeError>> | null = null;
  #cancelTimer: () => void = () => undefined;

  constructor(
    around: Surroundings,
    ways: RightWays,
    { grant, sentAt }: Granted,
    onOver: (state: "lost" | "released", reason: string) => void,
  ) {
    this.#around = around;
    this.#ways = ways;
    this.#onOver = onOver;
    this.#grant = grant;
    this.#checkedAt = sentAt;
    this.#triedAt = sentAt;
    this.name = ways.name;
    this.token = grant.token;
  }

  get state(): RightState {
    return this.#state;
  }

  get guard(): Guard {
    return { resource: this.name, token: this.token };
  }

  isTrusted(): boolean {
    return this.#trustedForMs() > 0;
  }

  async confirm(): Promise<Result<Guard, EdgeError>> {
    if (this.isTrusted()) return ok(this.guard);
    const checked = this.#isOver() ? err(this.#gone()) : await this.#check();
    if (!checked.ok) return checked;
    return this.isTrusted() ? ok(this.guard) : err(this.#gone());
  }

  release(): Promise<Result<boolean, EdgeError>> {
    this.#become("released", "given back");
    return this.#ways.release();
  }

  /** It was granted to one who asked for it just then. */
  begin(life: number | null): void {
    this.#take(this.#grant, this.#checkedAt, life);
    this.#tick();
  }

  /** Something happened that it may have been lost by. */
  heed(why: "registered" | "jump" | "usable" | "hint"): void {
    if (this.#isOver()) return;
    const isSure = this.isTrusted() && (why === "usable" || (why === "registered" && !this.#grant.isBound));
    if (!isSure) void this.#check();
    else this.#tick();
  }

  /** Nobody renews it any more. */
  abandon(): void {
    this.#cancelTimer();
  }

  #isOver(): boolean {
    return this.#state === "lost" || this.#state === "released";
  }

  #gone(): Refusal {
    return { code: "not_holder", message: `${this.name} is not held any more` };
  }

  get #isFollowing(): boolean {
    return this.#life !== null && this.#around.lastPing()?.life === this.#life;
  }

  #trustedForMs(): number {
    if (this.#isOver()) return 0;
    const now = read(this.#around.outside.clock);
    const own = this.#trust ? trustedForMs(this.#trust, now) : 0;
    const ping = this.#isFollowing ? this.#around.lastPing() : null;
    if (!ping) return own;
    const { ttlMs } = this.#grant;
    return Math.max(own, trustedForMs(trustOf(ping.sentAt, ttlMs, ttlMs), now));
  }

  /** One look at a time. */
  #check(): Promise<Result<void, EdgeError>> {
    this.#checking ??= this.#checkOnce().finally(() => {
      this.#checking = null;
      this.#tick();
    });
    return this.#checking;
  }

  async #checkOnce(): Promise<Result<void, EdgeError>> {
    const life = this.#around.life();
    this.#triedAt = read(this.#around.outside.clock);
    const deadlineMs = Math.max(1_000, this.#grant.ttlMs / 2);
    // Under another registration than it was confirmed in, it may be bound no more: only a renewal tells.
    const isReadOnly = this.#isFollowing && this.#life === life && this.isTrusted();
    const { result, sentAt } = await (isReadOnly ? this.#ways.check(deadlineMs) : this.#ways.renew(deadlineMs));
    if (this.#isOver()) return err(this.#gone());
    if (result.ok && result.value !== null) {
      this.#take(result.value, sentAt, life);
      return ok(undefined);
    }
    const error = result.ok ? this.#gone() : result.error;
    if (overCodes.has(error.code)) this.#become("lost", error.message);
    return err(error);
  }

  #take(grant: Grant, sentAt: Instant, life: number | null): void {
    this.#grant = grant;
    this.#trust = trustOf(sentAt, grant.remainingMs, grant.ttlMs);
    this.#life = grant.isBound && life === this.#around.life() ? life : null;
    this.#checkedAt = sentAt;
  }

  #tick(): void {
    this.#cancelTimer();
    if (this.#isOver()) return;
    const leftMs = this.#trustedForMs();
    if (leftMs > 0) this.#become("trusted", "confirmed");
    else this.#become("doubtful", "not confirmed in time, or a clock has jumped");
    const dueMs = this.#checkInMs(leftMs);
    if (dueMs <= 0 && !this.#checking) return void this.#check();
    const nextMs = Math.min(dueMs > 0 ? dueMs : retryMs(this.#grant), leftMs > 0 ? leftMs : retryMs(this.#grant));
    this.#cancelTimer = this.#around.outside.setTimer(() => this.#tick(), Math.max(1, Math.ceil(nextMs)));
  }

  #checkInMs(leftMs: number): number {
    const now = read(this.#around.outside.clock);
    const againMs = retryMs(this.#grant) - elapsedMs(this.#triedAt, now);
    if (leftMs === 0) return againMs;
    const everyMs = this.#isFollowing ? boundCheckMs : this.#grant.ttlMs / 2;
    return Math.max(againMs, everyMs - elapsedMs(this.#checkedAt, now));
  }

  #become(state: RightState, reason: string): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#around.events.emit({ type: "right", name: this.name, state, reason });
    if (state !== "lost" && state !== "released") return;
    this.#cancelTimer();
    this.#onOver(state, reason);
  }
}

/** After a look that failed. */
function retryMs({ ttlMs }: Grant): number {
  return Math.min(5_000, ttlMs / 8);
}
