import type { CallError } from "../../contract/errors.ts";
import type { CallInput, OutputOf } from "../../contract/operations.ts";
import type { Self } from "../../contract/values.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Calls } from "./calls.ts";
import type { Emitter, Signal } from "./events.ts";
import {
  RenewedLease,
  type DatedResult,
  type LeaseGrant,
  type DatedGrant,
  type HeldLease,
  type LeaseOperations,
  type HeldLeaseDeps,
} from "./held-lease.ts";

export interface HoldOptions {
  readonly onLost?: (reason: string) => void;
}
export type LeaseRequest = Omit<CallInput<"leases.acquire">, "self">;
export type LeadershipRequest = Omit<CallInput<"elections.campaign">, "self">;

/** How long a request with an unknown outcome is repeated in order to undo it, in ms. */
const followUpForMs = 600_000;
/** How often to ask for what a lost hint was about, in ms. */
const waiterPollMs = 5_000;

interface AcquireStrategy {
  readonly name: string;
  readonly waitMs: number;
  attempt(waitMs: number, deadlineMs?: number): Promise<DatedResult<LeaseGrant | null>>;
  cancelWait(): Promise<unknown>;
  operationsFor(grant: LeaseGrant): LeaseOperations;
}

export class LeaseAcquirer {
  readonly #calls: Calls;
  readonly #deps: HeldLeaseDeps;
  readonly #signals: Emitter<Signal>;
  readonly #heldLeases = new Map<RenewedLease, HoldOptions["onLost"]>();
  /** Requests made before the latest departure are discarded. */
  #departures = 0;
  /** Commits of others that were signalled. */
  #changes = 0;

  constructor(calls: Calls, deps: HeldLeaseDeps, signals: Emitter<Signal>) {
    this.#calls = calls;
    this.#deps = deps;
    this.#signals = signals;
    signals.on((signal) => this.#onSignal(signal));
  }

  hold(self: Self, request: LeaseRequest, options: HoldOptions): Promise<Result<HeldLease, CallError>> {
    return this.#acquire(leaseStrategy(this.#calls, self, request), options);
  }

  lead(self: Self, request: LeadershipRequest, options: HoldOptions): Promise<Result<HeldLease, CallError>> {
    return this.#acquire(electionStrategy(this.#calls, self, request), options);
  }

  /** [EC24] The coordinator frees everything the chat holds. */
  leave(): void {
    this.#departures += 1;
    for (const lease of this.#heldLeases.keys()) lease.leave();
  }

  #onSignal(signal: Signal): void {
    if (signal.method === "changed") this.#changes += 1;
    for (const lease of this.#heldLeases.keys()) {
      if (signal.method === "closed") lease.stopRenewing();
      else if (signal.method === "lease.granted" && signal.params.resource === lease.name) lease.recheck("hint");
      else if (signal.method === "registered" || signal.method === "jump" || signal.method === "usable") {
        lease.recheck(signal.method);
      }
    }
  }

  async #acquire(strategy: AcquireStrategy, options: HoldOptions): Promise<Result<HeldLease, CallError>> {
    const { clock } = this.#deps.platform;
    const deadlineAt = clock.monotonic() + strategy.waitMs;
    const departures = this.#departures;
    for (let isFirst = true; ; isFirst = false) {
      const waitMs = Math.max(0, deadlineAt - clock.monotonic());
      const registrationNumber = this.#deps.registrationNumber();
      const changes = this.#changes;
      const asked = await strategy.attempt(waitMs);
      if (departures !== this.#departures) return err(departed(strategy));
      const acquired = await this.#take(strategy, options, asked, isFirst ? { registrationNumber } : null);
      if (departures !== this.#departures) return err(departed(strategy));
      if (acquired) return acquired;
      const leftMs = deadlineAt - clock.monotonic();
      if (leftMs <= 0) {
        await strategy.cancelWait();
        return err({ code: "lease_held", message: `${strategy.name} was not free within ${strategy.waitMs} ms` });
      }
      if (changes === this.#changes) await this.#waitForHint(strategy.name, Math.min(waiterPollMs, leftMs));
      if (departures !== this.#departures) return err(departed(strategy));
    }
  }

  /** @returns null: queued, or lost before it was confirmed */
  async #take(
    strategy: AcquireStrategy,
    { onLost }: HoldOptions,
    { result, sentAt }: DatedResult<LeaseGrant | null>,
    firstAsked: { readonly registrationNumber: number | null } | null,
  ): Promise<Result<HeldLease, CallError> | null> {
    if (!result.ok && result.error.code === "outcome_unknown") void this.#undo(strategy);
    if (!result.ok) return result;
    const grant = result.value;
    if (!grant) return null;
    const lease = this.#startRenewing(strategy, { grant, sentAt });
    if (firstAsked) lease.start(firstAsked.registrationNumber);
    const confirmation = await this.#confirm(lease);
    if (confirmation?.ok && this.#heldLeases.has(lease)) this.#heldLeases.set(lease, onLost);
    return confirmation;
  }

  /** [EC12] A waiter does not know the time of its grant, so it renews once. Null: ask again. */
  async #confirm(lease: RenewedLease): Promise<Result<HeldLease, CallError> | null> {
    const confirmation = await lease.confirm();
    if (confirmation.ok) return ok(lease);
    if (lease.state === "lost") return null;
    void lease.release();
    return confirmation;
  }

  #startRenewing(strategy: AcquireStrategy, datedGrant: DatedGrant): RenewedLease {
    const lease: RenewedLease = new RenewedLease(
      this.#deps,
      strategy.operationsFor(datedGrant.grant),
      datedGrant,
      (state, reason) => {
        const onLost = this.#heldLeases.get(lease);
        this.#heldLeases.delete(lease);
        if (state === "lost") onLost?.(reason);
      },
    );
    this.#heldLeases.set(lease, undefined);
    return lease;
  }

  /** Undoes a request that may have been granted. */
  async #undo(strategy: AcquireStrategy): Promise<void> {
    const { result } = await strategy.attempt(0, followUpForMs);
    if (result.ok && result.value) await strategy.operationsFor(result.value).release();
    else await strategy.cancelWait();
  }

  /** Resolves when the lease may be granted, or the queue position may be lost. */
  #waitForHint(name: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        stop();
        cancel();
        resolve();
      };
      const cancel = this.#deps.platform.setTimer(finish, ms);
      const stop = this.#signals.on((signal) => {
        const isGrant = signal.method === "lease.granted" && signal.params.resource === name;
        if (isGrant || ["changed", "registered", "closed"].includes(signal.method)) finish();
      });
    });
  }
}

function departed({ name }: AcquireStrategy): CallError {
  return { code: "not_registered", message: `${name}: the chat has left` };
}

function leaseStrategy(calls: Calls, self: Self, request: LeaseRequest): AcquireStrategy {
  const { resource, waitMs = 0 } = request;
  const requestId = request.requestId ?? calls.newId();
  return {
    name: resource,
    waitMs,
    attempt: async (leftMs, deadlineMs) => {
      const input = { ...request, self, requestId, waitMs: Math.ceil(leftMs) };
      const { result, sentAt } = await calls.call("leases.acquire", input, omitUndefined({ deadlineMs }));
      if (!result.ok) return { result, sentAt };
      return { result: ok(result.value.state === "granted" ? result.value.lease : null), sentAt };
    },
    cancelWait: () => calls.call("leases.cancel-wait", { self, resource, requestId }),
    operationsFor: (grant) => leaseOperations(calls, self, resource, grant),
  };
}

function leaseOperations(calls: Calls, self: Self, resource: string, firstGrant: LeaseGrant): LeaseOperations {
  const { token } = firstGrant;
  let lastGrant = firstGrant;
  return {
    name: resource,
    renew: async (deadlineMs) => {
      const { result, sentAt } = await calls.call("leases.renew", { self, resource, token }, { deadlineMs });
      if (result.ok) lastGrant = result.value;
      return { result, sentAt };
    },
    check: async (deadlineMs) => {
      const { result, sentAt } = await calls.call("leases.check", { resource, token }, { deadlineMs });
      if (!result.ok) return { result, sentAt };
      const { isValid, remainingMs } = result.value;
      return { result: ok(isValid ? { ...lastGrant, remainingMs } : null), sentAt };
    },
    release: async () => {
      const { result } = await calls.call("leases.release", { self, resource, token });
      return result.ok ? ok(result.value.isReleased) : result;
    },
  };
}

function electionStrategy(calls: Calls, self: Self, request: LeadershipRequest): AcquireStrategy {
  const { name, waitMs = 0 } = request;
  const requestId = request.requestId ?? calls.newId();
  return {
    name: `leader:${name}`,
    waitMs,
    attempt: async (leftMs, deadlineMs) => {
      const input = { ...request, self, requestId, waitMs: Math.ceil(leftMs) };
      const { result, sentAt } = await calls.call("elections.campaign", input, omitUndefined({ deadlineMs }));
      return { result: result.ok ? parseCampaign(name, result.value) : result, sentAt };
    },
    // Term 0 leaves the queue.
    cancelWait: () => calls.call("elections.resign", { self, name, term: 0 }),
    operationsFor: ({ token }) => leadershipOperations(calls, self, name, token),
  };
}

function parseCampaign(name: string, answer: OutputOf<"elections.campaign">): Result<LeaseGrant | null, CallError> {
  if (answer.state === "leading") return ok(toGrant(answer.leader));
  if (answer.position !== null) return ok(null);
  return err({ code: "lease_held", message: `${answer.leader?.leader ?? "no chat"} leads ${name}` });
}

function toGrant({ term, ttlMs, remainingMs }: OutputOf<"elections.renew">): LeaseGrant {
  return { token: term, ttlMs, remainingMs, isBound: false };
}

function leadershipOperations(calls: Calls, self: Self, name: string, term: number): LeaseOperations {
  const renew: LeaseOperations["renew"] = async (deadlineMs) => {
    const { result, sentAt } = await calls.call("elections.renew", { self, name, term }, { deadlineMs });
    return { result: result.ok ? ok(toGrant(result.value)) : result, sentAt };
  };
  return {
    name: `leader:${name}`,
    renew,
    check: renew,
    release: async () => {
      const { result } = await calls.call("elections.resign", { self, name, term });
      return result.ok ? ok(result.value.hasResigned) : result;
    },
  };
}
