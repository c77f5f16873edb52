import { isLost, type Failure } from "#src/contract/errors.ts";
import { leaderScheme } from "#src/contract/leases.ts";
import type { CallInput, OutputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import type { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { isUp, type EdgeEvent } from "#src/coordinator-client/edge/events.ts";
import { type Platform, within } from "#src/coordinator-client/edge/platform.ts";
import { Renewal } from "#src/coordinator-client/edge/renewal.ts";
import { readClock, type Instant, elapsedMs, jumpedMs, marginMs } from "#src/coordinator-client/edge/trust.ts";
import { err, ok, type Result } from "#src/shared/result.ts";

/** What a holder reports of its lease. */
export interface HoldOptions {
  readonly onLost: () => void;
  readonly onDoubt: () => void;
}

type LeaseRequest = Omit<CallInput<"leases.acquire">, "self" | "requestId"> & { readonly requestId: string };
type LeadershipRequest = Omit<CallInput<"elections.campaign">, "self" | "requestId"> & { readonly requestId: string };
type LeaseState = "trusted" | "doubtful" | "lost" | "released";

export type HeldLease = Pick<RenewedLease, "name" | "token" | "state" | "isTrusted" | "confirm" | "release">;

interface Grant {
  readonly token: number;
  readonly ttlMs: number;
  readonly remainingMs: number;
}

interface DatedResult<Value> {
  readonly result: Result<Value>;
  readonly sentAt: Instant;
}

/** Request for a lease; a leadership is the lease `leader:<name>`, acquired in its own way. */
interface Right {
  readonly self: Self;
  readonly name: string;
  readonly requestId: string;
  readonly waitMs: number;
  /** A request is answered with null while it waits in the queue. */
  acquire(waitMs: number, deadlineMs?: number): Promise<DatedResult<Grant | null>>;
}

interface LeaseDeps {
  readonly client: WorkspaceClient;
  readonly platform: Pick<Platform, "clock" | "setTimer">;
}

interface Trust {
  readonly from: Instant;
  readonly forMs: number;
}

/** @param sentAt start of the request */
function toTrust(sentAt: Instant, { remainingMs, ttlMs }: Grant): Trust {
  // Capped: a coordinator whose clock was set back reports more than the ttl.
  return { from: sentAt, forMs: Math.min(remainingMs, ttlMs) - marginMs(ttlMs) };
}

/** 0 once expired, and after a clock jump until it is confirmed. */
function trustedForMs(trust: Trust, now: Instant): number {
  return jumpedMs(trust.from, now) === 0 ? Math.max(0, trust.forMs - elapsedMs(trust.from, now)) : 0;
}

/** The client says of no call when it was sent, so it counts from when it was made. */
async function dated<Value>(
  { clock }: LeaseDeps["platform"],
  call: () => Promise<Result<Value>>,
): Promise<DatedResult<Value>> {
  const sentAt = readClock(clock);
  return { result: await call(), sentAt };
}

/** Renews in time; trusts it only while the coordinator must keep it. */
class RenewedLease {
  readonly name: string;
  readonly token: number;
  readonly #deps: LeaseDeps;
  readonly #right: Right;
  readonly #report: (state: Exclude<LeaseState, "trusted">) => void;
  readonly #renewal: Renewal<Result<void>>;
  #state: LeaseState = "doubtful";
  #trust: Trust | null = null;
  #ttlMs: number;
  #confirmedAt: Instant;
  #lastTriedAt: Instant;

  constructor(
    deps: LeaseDeps,
    right: Right,
    { token, ttlMs }: Grant,
    sentAt: Instant,
    report: (state: Exclude<LeaseState, "trusted">) => void,
  ) {
    this.#deps = deps;
    this.#right = right;
    this.#report = report;
    this.#ttlMs = ttlMs;
    this.#confirmedAt = this.#lastTriedAt = sentAt;
    this.name = right.name;
    this.token = token;
    this.#renewal = new Renewal(deps.platform, { check: () => this.#check(), renew: () => this.#renew() });
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** Whether the holder may act on it now without asking. */
  isTrusted(): boolean {
    return this.#trustedForMs() > 0;
  }

  /** Call before acting on the lease; asks the coordinator unless it is trusted. */
  async confirm(): Promise<Result<void>> {
    if (this.isTrusted()) return ok(undefined);
    const renewed = this.#hasEnded() ? err(this.#notHeldError()) : await this.#renewal.renew();
    if (!renewed.ok) return renewed;
    return this.isTrusted() ? ok(undefined) : err(this.#notHeldError());
  }

  /** Ends trust at once, even if the request fails. False: it was no longer held. */
  release(): Promise<Result<boolean>> {
    this.#setState("released");
    return release(this.#deps.client, this.#right, this.token);
  }

  /** @param sentAt start of the request that was granted without a wait, or of a renewal */
  trust(grant: Grant, sentAt: Instant): void {
    this.#ttlMs = grant.ttlMs;
    this.#trust = toTrust(sentAt, grant);
    this.#confirmedAt = sentAt;
    this.#renewal.check();
  }

  recheck(isHint: boolean): void {
    if (this.#hasEnded()) return;
    if (isHint || !this.isTrusted()) void this.#renewal.renew();
    else this.#renewal.check();
  }

  leave(): void {
    this.#setState("released");
  }

  stopRenewing(): void {
    void this.#renewal.stop();
  }

  #hasEnded(): boolean {
    return this.#state === "lost" || this.#state === "released";
  }

  #notHeldError(): Failure {
    return { code: "not_holder", message: `${this.name} is no longer held` };
  }

  #trustedForMs(): number {
    if (this.#hasEnded() || !this.#trust) return 0;
    return trustedForMs(this.#trust, readClock(this.#deps.platform.clock));
  }

  async #renew(): Promise<Result<void>> {
    this.#lastTriedAt = readClock(this.#deps.platform.clock);
    const { self, name: resource } = this.#right;
    const renewal = { self, resource, token: this.token };
    const { client, platform } = this.#deps;
    const timeoutMs = Math.max(1_000, this.#ttlMs / 2);
    const { result, sentAt } = await dated(platform, () => client.call("leases.renew", renewal, timeoutMs));
    if (this.#hasEnded()) return err(this.#notHeldError());
    if (result.ok) this.trust(result.value, sentAt);
    // After any other failure its state is unknown.
    else if (isLost(result.error, "lease")) this.#setState("lost");
    return result.ok ? ok(undefined) : result;
  }

  #check(): { readonly isDue: boolean; readonly nextInMs: number } | null {
    if (this.#hasEnded()) return null;
    const leftMs = this.#trustedForMs();
    if (leftMs > 0) this.#setState("trusted");
    else this.#setState("doubtful");
    const retryMs = Math.min(5_000, this.#ttlMs / 8);
    const now = readClock(this.#deps.platform.clock);
    const everyMs = leftMs === 0 ? 0 : this.#ttlMs / 2;
    const dueMs = Math.max(retryMs - elapsedMs(this.#lastTriedAt, now), everyMs - elapsedMs(this.#confirmedAt, now));
    return { isDue: dueMs <= 0, nextInMs: Math.min(dueMs > 0 ? dueMs : retryMs, leftMs > 0 ? leftMs : retryMs) };
  }

  #setState(state: LeaseState): void {
    if (state === this.#state) return;
    this.#state = state;
    if (state === "lost" || state === "released") void this.#renewal.stop();
    if (state !== "trusted") this.#report(state);
  }
}

/** How long a request with an unknown outcome is repeated in order to undo it, in ms. */
const followUpForMs = 600_000;
/** How often to ask for what a lost hint was about, in ms. */
const waiterPollMs = 5_000;

/**
 * The leases and leaderships of one process, which trusts them as the coordinator allows: from the start of the last
 * answered request, by the longer of two clocks, and after a jump between them not before it has asked again.
 */
export class Leases {
  readonly #deps: LeaseDeps;
  readonly #held = new Map<RenewedLease, HoldOptions | undefined>();
  /** Requests made before the latest departure are discarded. */
  #departures = 0;
  /** Commits of others that were signalled. */
  #changes = 0;

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
    deps.client.on((event) => this.#onEvent(event));
  }

  hold(self: Self, request: LeaseRequest, options: HoldOptions): Promise<Result<HeldLease>> {
    return this.#acquire(leaseRight(this.#deps, self, request), options);
  }

  lead(self: Self, request: LeadershipRequest, options: HoldOptions): Promise<Result<HeldLease>> {
    return this.#acquire(leadershipRight(this.#deps, self, request), options);
  }

  /** The coordinator frees everything the chat holds. */
  leave(): void {
    this.#departures += 1;
    for (const lease of this.#held.keys()) lease.leave();
  }

  #onEvent(event: EdgeEvent): void {
    if (event.type === "changed") this.#changes += 1;
    const isClosed = event.type === "state" && event.state === "closed";
    const isNews =
      event.type === "registered" || event.type === "clock-jump" || (event.type === "state" && isUp(event.state));
    for (const lease of this.#held.keys()) {
      if (isClosed) lease.stopRenewing();
      else if (isGrant(event, lease.name)) lease.recheck(true);
      else if (isNews) lease.recheck(false);
    }
  }

  async #acquire(right: Right, options: HoldOptions): Promise<Result<HeldLease>> {
    const { clock } = this.#deps.platform;
    const deadlineAt = clock.monotonic() + right.waitMs;
    const departures = this.#departures;
    for (let isFirst = true; ; isFirst = false) {
      const changes = this.#changes;
      const asked = await right.acquire(Math.max(0, deadlineAt - clock.monotonic()));
      if (departures !== this.#departures) return err(departed(right));
      const acquired = await this.#take(right, options, asked, isFirst);
      if (departures !== this.#departures) return err(departed(right));
      if (acquired) return acquired;
      const leftMs = deadlineAt - clock.monotonic();
      if (leftMs > 0) {
        if (changes === this.#changes) await this.#waitForHint(right.name, Math.min(waiterPollMs, leftMs));
      } else if (await this.#cancelWait(right))
        return err({ code: "lease_held", message: `${right.name} was not free within ${right.waitMs} ms` });
      if (departures !== this.#departures) return err(departed(right));
    }
  }

  /** @returns null: queued, or lost before it was confirmed */
  async #take(
    right: Right,
    options: HoldOptions,
    { result, sentAt }: DatedResult<Grant | null>,
    isFirst: boolean,
  ): Promise<Result<HeldLease> | null> {
    if (!result.ok && result.error.code === "outcome_unknown") void this.#undo(right);
    if (!result.ok) return result;
    const grant = result.value;
    if (!grant) return null;
    const lease: RenewedLease = new RenewedLease(this.#deps, right, grant, sentAt, (state) => {
      const report = this.#held.get(lease);
      if (state === "doubtful") report?.onDoubt();
      else this.#held.delete(lease);
      if (state === "lost") report?.onLost();
    });
    this.#held.set(lease, undefined);
    // A waiter does not know the time of its grant, so it renews once.
    if (isFirst) lease.trust(grant, sentAt);
    const confirmed = await lease.confirm();
    if (confirmed.ok && this.#held.has(lease)) this.#held.set(lease, options);
    if (confirmed.ok) return ok(lease);
    if (lease.state === "lost") return null;
    void lease.release();
    return confirmed;
  }

  /** Undoes a request that may have been granted. */
  async #undo(right: Right): Promise<void> {
    const { result } = await right.acquire(0, followUpForMs);
    if (result.ok && result.value) await release(this.#deps.client, right, result.value.token);
    else if (!(await this.#cancelWait(right)) && result.ok) await this.#undo(right);
  }

  /** @returns false: nothing waited any more, and it may have been granted: asking again tells */
  async #cancelWait({ self, name: resource, requestId }: Right): Promise<boolean> {
    const cancelled = await this.#deps.client.call("leases.cancel-wait", { self, resource, requestId });
    return !cancelled.ok || cancelled.value.isCancelled;
  }

  /** Resolves when the lease may be granted, or the queue position may be lost. */
  async #waitForHint(name: string, ms: number): Promise<void> {
    const hinted = Promise.withResolvers<void>();
    const stop = this.#deps.client.on((event) => {
      const isEnd = event.type === "state" && event.state === "closed";
      if (isEnd || event.type === "changed" || event.type === "registered" || isGrant(event, name)) hinted.resolve();
    });
    await within(this.#deps.platform, ms, hinted.promise);
    stop();
  }
}

function isGrant(event: EdgeEvent, name: string): boolean {
  if (event.type !== "notified") return false;
  const { method, params } = event.notification;
  return method === "lease.granted" && params.resource === name;
}

function departed({ name }: Right): Failure {
  return { code: "not_registered", message: `${name}: the chat has left` };
}

async function release(
  client: WorkspaceClient,
  { self, name: resource }: Right,
  token: number,
): Promise<Result<boolean>> {
  const released = await client.call("leases.release", { self, resource, token });
  return released.ok ? ok(released.value.isReleased) : released;
}

function leaseRight({ client, platform }: LeaseDeps, self: Self, request: LeaseRequest): Right {
  const { resource: name, waitMs = 0, requestId } = request;
  return {
    self,
    name,
    requestId,
    waitMs,
    acquire: async (leftMs, deadlineMs) => {
      const input = { ...request, self, requestId, waitMs: Math.ceil(leftMs) };
      const { result, sentAt } = await dated(platform, () => client.call("leases.acquire", input, deadlineMs));
      if (!result.ok) return { result, sentAt };
      return { result: ok(result.value.state === "granted" ? result.value.lease : null), sentAt };
    },
  };
}

function leadershipRight({ client, platform }: LeaseDeps, self: Self, request: LeadershipRequest): Right {
  const { name, waitMs = 0, requestId } = request;
  return {
    self,
    name: leaderScheme + name,
    requestId,
    waitMs,
    acquire: async (leftMs, deadlineMs) => {
      const input = { ...request, self, requestId, waitMs: Math.ceil(leftMs) };
      const { result, sentAt } = await dated(platform, () => client.call("elections.campaign", input, deadlineMs));
      return { result: result.ok ? parseCampaign(name, result.value) : result, sentAt };
    },
  };
}

function parseCampaign(name: string, answer: OutputOf<"elections.campaign">): Result<Grant | null> {
  if (answer.state === "leading") return ok({ ...answer.leader, token: answer.leader.term });
  if (answer.position !== null) return ok(null);
  return err({ code: "lease_held", message: `${answer.leader?.leader ?? "no chat"} leads ${name}` });
}
