import * as fc from "fast-check";
import { expect } from "vitest";
import { check, Peer, second, type Lease } from "#harness/coordinator/peers.ts";
import { type RuleHost } from "#harness/coordinator/engine-host.ts";
import { LeaseModel, meet, type LeaseRequest } from "#harness/coordinator/lease-model.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";
import { step } from "./steps.ts";

const chats = ["a", "b", "c", "d"] as const;
const wanted = ["x", "file:p/a", "file:p/b", "file:p/*", "file:p/b/a", "file:p/b/**", "file:p/**"] as const;

const chat = fc.constantFrom(...chats);
const pick = fc.nat(20);
const request: fc.Arbitrary<LeaseRequest> = fc.record({
  resource: fc.constantFrom(...wanted),
  request: fc.constantFrom("r1", "r2"),
  ttlMs: fc.constantFrom(1_000, 5_000, 40_000, 300_000),
  isBound: fc.boolean(),
  waitMs: fc.constantFrom(0, 0, 3_000, 20_000, 200_000),
  delayMs: fc.constantFrom(0, 0, 4_000, 60_000),
});
const pause = fc.oneof(fc.constantFrom(1, 999, 1_000, 4_000, 5_000, 29_999, 30_000, 60_000), fc.nat(50_000));

const anyStep = fc.oneof(
  step(8, "acquire", { chat, request }),
  step(6, "pass", { ms: pause, isOnTime: fc.boolean() }),
  step(6, "ping", { chat }),
  step(2, "renew", { pick, ttlMs: fc.constantFrom(null, 1_000, 90_000) }),
  step(3, "release", { pick }),
  step(2, "cancel", { pick }),
  step(1, "close", { chat }),
  step(3, "back", { chat }),
  step(1, "leave", { chat }),
  step(1, "attest", { chat }),
  step(1, "lose"),
);
type Step = typeof anyStep extends fc.Arbitrary<infer Value> ? Value : never;
type StepOf<Kind> = Extract<Step, { kind: Kind }>;

/** The engine and the model side by side. */
class Bench {
  readonly host: RuleHost;
  readonly model: LeaseModel;
  readonly peers: Map<string, Peer>;
  /** Of each grant so far, oldest first; the lease that it came with while it is held. */
  readonly tokens = new Map<number, string>();

  private constructor(host: RuleHost, peers: Map<string, Peer>) {
    this.host = host;
    this.peers = peers;
    this.model = new LeaseModel(host.now(), chats);
  }

  static async open(host: RuleHost): Promise<Bench> {
    const peers = new Map<string, Peer>();
    for (const name of chats) {
      peers.set(name, await Peer.join(host, name, { isInteractive: name !== "d" }));
      await host.connect(name);
    }
    return new Bench(host, peers);
  }

  peer(name: string): Peer {
    const peer = this.peers.get(name);
    if (!peer) throw new Error(`no chat ${name}`);
    return peer;
  }

  readonly #deeds: { readonly [Kind in Step["kind"]]: (one: StepOf<Kind>) => Promise<void> } = {
    acquire: (one) => this.#acquire(one.chat, one.request),
    pass: ({ ms, isOnTime }) => (isOnTime ? this.#passOnTime(ms) : this.#passLate(ms)),
    renew: (one) => this.#renew(one.pick, one.ttlMs),
    release: (one) => this.#release(one.pick),
    cancel: (one) => this.#cancel(one.pick),
    lose: () => this.#lose(),
    ping: async ({ chat: name }) => {
      if (!this.model.isHere(name)) return;
      this.model.ping(name);
      await this.host.ping(name);
    },
    close: async ({ chat: name }) => {
      if (!this.model.isHere(name)) return;
      this.model.close(name, name === "d" ? 5 * second : 20 * second);
      await this.host.disconnect(name);
    },
    back: async ({ chat: name }) => {
      this.model.back(name);
      await this.peer(name).back();
      await this.host.connect(name);
    },
    leave: async ({ chat: name }) => {
      if (!this.model.isHere(name)) return;
      this.model.end(name);
      await this.peer(name).leave();
    },
    attest: async ({ chat: name }) => {
      if (!this.model.isHere(name)) return;
      this.model.end(name);
      await this.#attest(name);
    },
  };

  take(one: Step): Promise<void> {
    return (this.#deeds[one.kind] as (one: Step) => Promise<void>)(one);
  }

  /** Who was silent too long and holds nothing is not noticed by the alarm, so a loss would forgive it: it is attested before. */
  async #lose(): Promise<void> {
    for (const [name, { isGone }] of this.model.chats) {
      if (isGone && !this.model.held.some((one) => one.chat === name)) await this.#attest(name);
    }
    this.model.lose(90 * second);
    await this.host.loseConnections();
  }

  async #attest(name: string): Promise<void> {
    const { chat, machine, process } = this.peer(name).registration;
    given(await this.host.call("chats.attest-death", { chat, machine, process }));
  }

  async #acquire(name: string, request: LeaseRequest): Promise<void> {
    if (this.model.of(name).goneAt !== null && !this.model.of(name).isGone) return;
    const expected = this.model.acquire(name, request);
    const { resource, request: requestId, delayMs: lockDelayMs, ttlMs, isBound, waitMs } = request;
    const result = await this.peer(name).acquire(resource, { requestId, lockDelayMs, ttlMs, isBound, waitMs });
    if (!result.ok) return expect(result.error.code).toBe(expected);
    const { value } = result;
    expect(value.state === "granted" ? "granted" : `waiting ${value.position} ${value.waitMs}`).toBe(expected);
  }

  /** The alarm rings at each time that it was set to, which is no later than the next thing has to happen. */
  async #passOnTime(ms: number): Promise<void> {
    const end = this.model.now + ms;
    for (;;) {
      const next = this.model.nextEvent();
      const armed = await this.host.ring();
      if (next !== null) expect(armed ?? Infinity).toBeLessThanOrEqual(next);
      if (next === null || next > end) break;
      await this.#passLate(next - this.model.now);
      await this.compare();
    }
    await this.#passLate(end - this.model.now);
  }

  async #passLate(ms: number): Promise<void> {
    this.host.wait(ms);
    this.model.now += ms;
    await this.host.ring();
    this.model.settle();
  }

  #heldByThoseHere(): LeaseModel["held"] {
    return this.model.held.filter((one) => this.model.isHere(one.chat));
  }

  async #renew(pick: number, ttlMs: number | null): Promise<void> {
    const held = this.#heldByThoseHere();
    const one = held[pick % held.length];
    if (!one) return;
    this.model.renew(one, ttlMs);
    const lease = given(await this.peer(one.chat).renew(await this.#leaseOn(one.resource), ttlMs ?? undefined));
    expect(lease).toMatchObject({ ttlMs: one.ttlMs, remainingMs: this.model.expiryOf(one) - this.model.now });
  }

  async #release(pick: number): Promise<void> {
    const held = this.#heldByThoseHere();
    const one = held[pick % held.length];
    if (!one) return;
    const lease = await this.#leaseOn(one.resource);
    this.model.release(one);
    expect(await this.peer(one.chat).release(lease)).toBe(true);
  }

  async #cancel(pick: number): Promise<void> {
    const line = this.model.line.filter((one) => this.model.isHere(one.chat));
    const place = line[pick % line.length];
    if (!place) return;
    this.model.cancel(place);
    expect(await this.peer(place.chat).cancel(place.resource, place.request)).toBe(true);
  }

  async #leases(): Promise<Lease[]> {
    return given(await this.host.call("leases.list", { limit: 200 })).leases;
  }

  async #leaseOn(resource: string): Promise<Lease> {
    const lease = (await this.#leases()).find((one) => one.resource === resource);
    if (!lease) throw new Error(`${resource} is not held`);
    return lease;
  }

  /** Exactly those leases, with those times; new ones with tokens above all that were ever given. */
  async compare(): Promise<void> {
    const leases = await this.#leases();
    const expected = this.model.held
      .map((one) => ({
        resource: one.resource,
        holder: one.chat,
        isBound: one.isBound,
        remainingMs: this.model.expiryOf(one) - this.model.now,
      }))
      .toSorted((one, other) => (one.resource < other.resource ? -1 : 1));
    expect(
      leases.map(({ resource, holder, isBound, remainingMs }) => ({ resource, holder, isBound, remainingMs })),
    ).toEqual(expected);
    const newest = Math.max(0, ...this.tokens.keys());
    for (const { token, resource, holder } of leases) {
      const grant = `${resource} ${holder}`;
      if (!this.tokens.has(token)) expect(token).toBeGreaterThan(newest);
      expect(this.tokens.get(token) ?? grant).toBe(grant);
      this.tokens.set(token, grant);
    }
    for (const one of leases) {
      expect(leases.filter((other) => meet(one.resource, other.resource))).toEqual([one]);
    }
  }

  /** Of all tokens that were ever given only those of present leases are good. */
  async checkTokens(): Promise<void> {
    const present = new Set((await this.#leases()).map(({ token }) => token));
    for (const [token, grant] of this.tokens) {
      const [resource = ""] = grant.split(" ");
      expect((await check(this.host, resource, token)).isValid).toBe(present.has(token));
    }
  }
}

/** Whatever happens in whatever order. */
export function leaseModelRules(it: RuleTest): void {
  it("any sequence of calls ends with the model's leases", async ({ open, runs }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 60 }), async (steps) => {
        const bench = await Bench.open(await open());
        for (const one of steps) {
          await bench.take(one);
          await bench.compare();
        }
        await bench.checkTokens();
      }),
      runs(60),
    );
  });
}
