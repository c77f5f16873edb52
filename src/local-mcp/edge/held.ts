import type { OutputOf } from "../../contract/operations.ts";
import type { Self } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Calls, Given } from "./calls.ts";
import type { Emitter, Signal } from "./events.ts";
import type { EdgeError } from "./failure.ts";
import {
  KeptRight,
  type Dated,
  type Grant,
  type Granted,
  type Right,
  type RightWays,
  type Surroundings,
} from "./kept-right.ts";

export interface HoldOptions {
  /** Told once, when the coordinator says that it is not held any more: what it guards must stop. */
  readonly onLost?: (reason: string) => void;
}
export type WantedLease = Omit<Given<"leases.acquire">, "self">;
export type WantedTerm = Omit<Given<"elections.campaign">, "self">;

/** Hints may be lost: who stands in line asks this often, in ms. */
const askAgainMs = 5_000;
/** How long a request without an answer is followed up, in ms. */
const followUpMs = 600_000;

/** What leases and elections differ in. */
interface Contest {
  readonly name: string;
  readonly waitMs: number;
  /** The same request each time. Null: it stands in line. */
  ask(waitMs: number, deadlineMs?: number): Promise<Dated<Grant | null>>;
  leaveLine(): Promise<unknown>;
  ways(grant: Grant): RightWays;
}

/** Takes leases and leaderships, and keeps them. */
export class Holder {
  readonly #calls: Calls;
  readonly #around: Surroundings;
  readonly #signals: Emitter<Signal>;
  readonly #kept = new Set<KeptRight>();

  constructor(calls: Calls, around: Surroundings, signals: Emitter<Signal>) {
    this.#calls = calls;
    this.#around = around;
    this.#signals = signals;
    signals.on((signal) => this.#heed(signal));
  }

  hold(self: Self, wanted: WantedLease, options: HoldOptions): Promise<Result<Right, EdgeError>> {
    return this.#win(leaseContest(this.#calls, self, wanted), options);
  }

  lead(self: Self, wanted: WantedTerm, options: HoldOptions): Promise<Result<Right, EdgeError>> {
    return this.#win(electionContest(this.#calls, self, wanted), options);
  }

  #heed(signal: Signal): void {
    for (const right of this.#kept) {
      if (signal.method === "closed") right.abandon();
      else if (signal.method === "lease.granted" && signal.params.resource === right.name) right.heed("hint");
      else if (signal.method === "registered" || signal.method === "jump" || signal.method === "usable") {
        right.heed(signal.method);
      }
    }
  }

  async #win(contest: Contest, options: HoldOptions): Promise<Result<Right, EdgeError>> {
    const { clock } = this.#around.outside;
    const until = clock.monotonic() + contest.waitMs;
    for (let isFirst = true; ; isFirst = false) {
      const tried = await this.#try(contest, options, Math.max(0, until - clock.monotonic()), isFirst);
      if (tried) return tried;
      const leftMs = until - clock.monotonic();
      if (leftMs <= 0) return this.#late(contest);
      await this.#hint(contest.name, Math.min(askAgainMs, leftMs));
    }
  }

  /** @returns null: it stands in line, or has lost what it was granted before it knew */
  async #try(
    contest: Contest,
    options: HoldOptions,
    waitMs: number,
    isFirst: boolean,
  ): Promise<Result<Right, EdgeError> | null> {
    const life = this.#around.life();
    const { result, sentAt } = await contest.ask(waitMs);
    if (!result.ok) return this.#failed(contest, result.error);
    const grant = result.value;
    if (!grant) return null;
    const right = this.#keep(contest, { grant, sentAt }, options);
    if (isFirst) right.begin(life);
    return this.#confirmed(right);
  }

  /** [EC12] A client that has waited does not know the time of its grant: it trusts it after the first renewal. Null: it has to ask again. */
  async #confirmed(right: KeptRight): Promise<Result<Right, EdgeError> | null> {
    const confirmed = await right.confirm();
    if (confirmed.ok) return ok(right);
    if (right.state === "lost") return null;
    void right.release();
    return confirmed;
  }

  #keep(contest: Contest, granted: Granted, { onLost }: HoldOptions): KeptRight {
    const right: KeptRight = new KeptRight(this.#around, contest.ways(granted.grant), granted, (state, reason) => {
      this.#kept.delete(right);
      if (state === "lost") onLost?.(reason);
    });
    this.#kept.add(right);
    return right;
  }

  /** Nothing of it may stay behind that nobody knows of. */
  #failed(contest: Contest, error: EdgeError): Result<never, EdgeError> {
    if (error.code === "outcome_unknown") void this.#followUp(contest);
    return err(error);
  }

  async #followUp(contest: Contest): Promise<void> {
    const { result } = await contest.ask(0, followUpMs);
    if (result.ok && result.value) await contest.ways(result.value).release();
    else await contest.leaveLine();
  }

  async #late(contest: Contest): Promise<Result<never, EdgeError>> {
    await contest.leaveLine();
    return err({ code: "lease_held", message: `${contest.name} was not free within ${contest.waitMs} ms` });
  }

  /** Until it may have been granted, or the place in line may be lost. */
  #hint(name: string, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        stop();
        cancel();
        resolve();
      };
      const cancel = this.#around.outside.setTimer(done, ms);
      const stop = this.#signals.on((signal) => {
        const isGrant = signal.method === "lease.granted" && signal.params.resource === name;
        if (isGrant || signal.method === "registered" || signal.method === "closed") done();
      });
    });
  }
}

function leaseContest(calls: Calls, self: Self, wanted: WantedLease): Contest {
  const { resource, waitMs = 0 } = wanted;
  const requestId = wanted.requestId ?? calls.newId();
  return {
    name: resource,
    waitMs,
    ask: async (leftMs, deadlineMs) => {
      const input = { ...wanted, self, requestId, waitMs: Math.ceil(leftMs) };
      const { result, sentAt } = await calls.call("leases.acquire", input, given({ deadlineMs }));
      if (!result.ok) return { result, sentAt };
      return { result: ok(result.value.state === "granted" ? result.value.lease : null), sentAt };
    },
    leaveLine: () => calls.call("leases.cancel-wait", { self, resource, requestId }),
    ways: (grant) => leaseWays(calls, self, resource, grant),
  };
}

function leaseWays(calls: Calls, self: Self, resource: string, first: Grant): RightWays {
  const { token } = first;
  let known = first;
  return {
    name: resource,
    renew: async (deadlineMs) => {
      const { result, sentAt } = await calls.call("leases.renew", { self, resource, token }, { deadlineMs });
      if (result.ok) known = result.value;
      return { result, sentAt };
    },
    check: async (deadlineMs) => {
      const { result, sentAt } = await calls.call("leases.check", { resource, token }, { deadlineMs });
      if (!result.ok) return { result, sentAt };
      const { isValid, remainingMs } = result.value;
      return { result: ok(isValid ? { ...known, remainingMs } : null), sentAt };
    },
    release: async () => {
      const { result } = await calls.call("leases.release", { self, resource, token });
      return result.ok ? ok(result.value.isReleased) : result;
    },
  };
}

function electionContest(calls: Calls, self: Self, wanted: WantedTerm): Contest {
  const { name, waitMs = 0 } = wanted;
  const requestId = wanted.requestId ?? calls.newId();
  return {
    name: `leader:${name}`,
    waitMs,
    ask: async (leftMs, deadlineMs) => {
      const input = { ...wanted, self, requestId, waitMs: Math.ceil(leftMs) };
      const { result, sentAt } = await calls.call("elections.campaign", input, given({ deadlineMs }));
      return { result: result.ok ? termIn(name, result.value) : result, sentAt };
    },
    // Who leads nothing leaves the line.
    leaveLine: () => calls.call("elections.resign", { self, name, term: 0 }),
    ways: ({ token }) => termWays(calls, self, name, token),
  };
}

function termIn(name: string, answer: OutputOf<"elections.campaign">): Result<Grant | null, EdgeError> {
  if (answer.state === "leading") return ok(grantOf(answer.leader));
  if (answer.position !== null) return ok(null);
  return err({ code: "lease_held", message: `${answer.leader?.leader ?? "nobody yet"} leads ${name}` });
}

function grantOf({ term, ttlMs, remainingMs }: OutputOf<"elections.renew">): Grant {
  return { token: term, ttlMs, remainingMs, isBound: false };
}

function termWays(calls: Calls, self: Self, name: string, term: number): RightWays {
  const renew: RightWays["renew"] = async (deadlineMs) => {
    const { result, sentAt } = await calls.call("elections.renew", { self, name, term }, { deadlineMs });
    return { result: result.ok ? ok(grantOf(result.value)) : result, sentAt };
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

function given(options: { readonly deadlineMs: number | undefined }): { deadlineMs?: number } {
  return options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs };
}
