import type { Self } from "../contract/values.ts";
import { err, type Result } from "../shared/result.ts";
import type { ChatInput, ChatLink } from "./chat-link.ts";
import type { EdgeClient } from "./edge/client.ts";
import { createEdgeEvents, Emitter, type EdgeEvent, type Signal } from "./edge/events.ts";
import type { HeldLease, LeaseError } from "./edge/held-lease.ts";
import {
  LeaseAcquirer,
  type HoldOptions,
  type LeaseCalls,
  type LeadershipRequest,
  type LeaseRequest,
} from "./edge/lease-acquirer.ts";
import { newId, type Platform } from "./edge/platform.ts";
import { readClock } from "./edge/trust.ts";

/** Leases of one chat, at either host. */
export interface LeaseClient extends Pick<EdgeClient, "on" | "hold" | "lead"> {
  register(chat: ChatInput): Promise<Result<unknown, LeaseError>>;
  unregister(): Promise<unknown>;
}

/** The file answers at once, and renewals let a process notice soon that its lease was taken. */
const pace = { renewEveryMs: (ttlMs: number) => Math.min(2_000, ttlMs / 4), pollEveryMs: 200 };
const timeoutMs = 5_000;

/** [CL33] Leases at this machine's own coordinator, kept in the same way as those at an edge. */
export class LocalLeaseClient implements LeaseClient {
  readonly #link: ChatLink;
  readonly #events = createEdgeEvents();
  readonly #signals = new Emitter<Signal>((message) => this.#events.emit({ type: "problem", message }));
  readonly #acquirer: LeaseAcquirer;

  constructor(link: ChatLink, platform: Pick<Platform, "clock" | "setTimer" | "random">) {
    this.#link = link;
    const calls: LeaseCalls = {
      newId: () => newId(platform),
      call: async (name, input) => {
        const sentAt = readClock(platform.clock);
        return { result: await link.call(name, input, timeoutMs), sentAt };
      },
    };
    const deps = { platform, events: this.#events, registrationNumber: () => null, lastPing: () => null, pace };
    this.#acquirer = new LeaseAcquirer(calls, deps, this.#signals);
  }

  on(listener: (event: EdgeEvent) => void): () => void {
    return this.#events.on(listener);
  }

  register(chat: ChatInput): Promise<Result<unknown, LeaseError>> {
    return this.#link.register(chat);
  }

  hold(request: LeaseRequest, options: HoldOptions = {}): Promise<Result<HeldLease, LeaseError>> {
    return this.#asChat((self) => this.#acquirer.hold(self, request, options));
  }

  lead(request: LeadershipRequest, options: HoldOptions = {}): Promise<Result<HeldLease, LeaseError>> {
    return this.#asChat((self) => this.#acquirer.lead(self, request, options));
  }

  async unregister(): Promise<void> {
    this.#acquirer.leave();
    this.#signals.emit({ method: "closed", reason: "unregistered" });
    await this.#link.leave(timeoutMs);
  }

  #asChat(acquire: (self: Self) => Promise<Result<HeldLease, LeaseError>>): Promise<Result<HeldLease, LeaseError>> {
    const { self } = this.#link;
    if (self) return acquire(self);
    return Promise.resolve(err({ code: "not_registered", message: "a lease needs a registered chat" }));
  }
}
