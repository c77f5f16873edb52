import * as fc from "fast-check";
import { expect } from "vitest";
import { check, look, Peer, second, successorOf } from "#harness/coordinator/peers.ts";
import { type RuleHost } from "#harness/coordinator/engine-host.ts";
import { meet } from "#harness/coordinator/lease-model.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";
import { step } from "./steps.ts";

/** What holders believe, from the answers that they got and the pings that they sent. */

const wanted = ["x", "file:p/a", "file:p/*", "file:p/b/a", "file:p/**"] as const;
const processes = 4;

const who = fc.nat(processes - 1);
const anyStep = fc.oneof(
  step(8, "acquire", {
    who,
    resource: fc.constantFrom(...wanted),
    request: fc.record({
      requestId: fc.constantFrom("r1", "r2"),
      isBound: fc.boolean(),
      ttlMs: fc.constantFrom(2_000, 20_000, 200_000),
      waitMs: fc.constantFrom(0, 60_000),
      lockDelayMs: fc.constantFrom(0, 5_000),
    }),
  }),
  step(8, "pass", {
    ms: fc.oneof(fc.constantFrom(1, 5_000, 9_999, 20_000, 30_000), fc.nat(40_000)),
    rings: fc.boolean(),
  }),
  step(8, ["ping", "beat"], { who }),
  step(4, ["register", "connect"], { who }),
  step(4, ["renew", "release"], { who, pick: fc.nat(9) }),
  step(2, ["close", "die", "attest"], { who }),
  step(1, "leave", { who }),
  step(1, "lose"),
);
type Step = typeof anyStep extends fc.Arbitrary<infer Value> ? Value : never;
/** What a process does. */
type Deed = Extract<Step, { who: number }>;
type DeedOf<Kind> = Extract<Deed, { kind: Kind }>;

interface Trust {
  readonly resource: string;
  readonly token: number;
  until: number;
  /** Its pings renew it, as far as it knows. */
  isBound: boolean;
}

/** A process: what it was told, and nothing else. */
class Holder {
  readonly peer: Peer;
  trusts: Trust[] = [];
  isConnected = false;
  isDead = false;

  constructor(peer: Peer) {
    this.peer = peer;
  }

  take(trust: Trust): void {
    this.trusts = [...this.trusts.filter(({ token }) => token !== trust.token), trust];
  }

  prolong(until: number): void {
    for (const one of this.trusts) if (one.isBound) one.until = Math.max(one.until, until);
  }
}

class World {
  readonly host: RuleHost;
  readonly holders: readonly Holder[];

  constructor(host: RuleHost) {
    this.host = host;
    const [a, b, c] = ["a", "b", "c"].map((chat) => new Peer(host, chat, { isInteractive: chat !== "b" }));
    if (!a || !b || !c) throw new Error("three chats");
    this.holders = [a, b, c, successorOf(a)].map((peer) => new Holder(peer));
  }

  readonly #deeds: { readonly [Kind in Deed["kind"]]: (holder: Holder, one: DeedOf<Kind>) => Promise<void> } = {
    acquire: (holder, { resource, request }) => this.#acquire(holder, resource, request),
    register: async (holder) => void (await this.#register(holder)),
    connect: (holder) => this.#connect(holder),
    ping: (holder) => this.#ping(holder),
    beat: async (holder) => {
      const answer = await holder.peer.tryBeat();
      if (answer.ok) holder.prolong(this.host.now() + answer.value.ttlMs);
    },
    renew: (holder, { pick }) => this.#renew(holder, pick),
    release: (holder, { pick }) => this.#release(holder, pick),
    close: (holder) => this.#close(holder),
    die: (holder) => {
      holder.isDead = true;
      holder.trusts = [];
      return this.#close(holder);
    },
    attest: () => Promise.resolve(),
    leave: async (holder) => {
      const answer = await this.host.call("chats.unregister", { self: holder.peer.self });
      if (answer.ok) holder.trusts = [];
    },
  };

  async take(one: Step): Promise<void> {
    if (one.kind === "pass") {
      this.host.wait(one.ms);
      if (one.rings) await this.host.ring();
    } else if (one.kind === "lose") {
      for (const holder of this.holders) holder.isConnected = false;
      await this.host.loseConnections();
    } else await this.#act(one);
  }

  async #act(one: Deed): Promise<void> {
    const holder = this.holders[one.who];
    if (!holder) return;
    if (!holder.isDead) return (this.#deeds[one.kind] as (holder: Holder, one: Deed) => Promise<void>)(holder, one);
    const { chat, machine, process } = holder.peer.registration;
    if (one.kind === "attest") await this.host.call("chats.attest-death", { chat, machine, process });
  }

  async #acquire(holder: Holder, resource: string, request: Parameters<Peer["acquire"]>[1]): Promise<void> {
    const answer = await holder.peer.acquire(resource, request);
    if (!answer.ok || answer.value.state !== "granted") return;
    const { token, remainingMs, isBound } = answer.value.lease;
    holder.take({ resource, token, isBound, until: this.host.now() + remainingMs });
  }

  /** It cannot know whether it counted as gone meanwhile: from now on only a renewal says more. */
  async #register(holder: Holder): Promise<boolean> {
    const answer = await holder.peer.tryBack();
    if (answer.ok) for (const one of holder.trusts) one.isBound = false;
    return answer.ok;
  }

  async #connect(holder: Holder): Promise<void> {
    if (!(await this.#register(holder))) return;
    for (const other of this.holders) if (other.peer.chat === holder.peer.chat) other.isConnected = false;
    holder.isConnected = true;
    await this.host.connect(holder.peer.chat);
  }

  /** The host closes the connection of a chat that counts as gone, or that another process took over. */
  async #ping(holder: Holder): Promise<void> {
    if (!holder.isConnected) return;
    const { status, incarnation } = await look(this.host, holder.peer.chat);
    if (status === "offline" || incarnation !== holder.peer.incarnation) return this.#close(holder);
    await this.host.ping(holder.peer.chat);
    holder.prolong(this.host.now() + 30 * second);
  }

  async #close(holder: Holder): Promise<void> {
    if (!holder.isConnected) return;
    holder.isConnected = false;
    await this.host.disconnect(holder.peer.chat);
  }

  async #renew(holder: Holder, pick: number): Promise<void> {
    const trust = holder.trusts[pick % holder.trusts.length];
    if (!trust) return;
    const answer = await holder.peer.renew(trust);
    if (!answer.ok) return;
    const { isBound, remainingMs } = answer.value;
    holder.take({ ...trust, isBound, until: this.host.now() + remainingMs });
  }

  async #release(holder: Holder, pick: number): Promise<void> {
    const trust = holder.trusts[pick % holder.trusts.length];
    if (!trust) return;
    holder.trusts = holder.trusts.filter((one) => one !== trust);
    const { resource, token } = trust;
    await this.host.call("leases.release", { self: holder.peer.self, resource, token });
  }

  /** What has lapsed is not believed any more; all that is believed is true, and no two believe the same. */
  async look(): Promise<void> {
    const now = this.host.now();
    for (const holder of this.holders) holder.trusts = holder.trusts.filter(({ until }) => until > now);
    const trusts = this.holders.flatMap((holder) => holder.trusts);
    for (const one of trusts) {
      expect(trusts.filter((other) => meet(one.resource, other.resource))).toEqual([one]);
      const { isValid, remainingMs } = await check(this.host, one.resource, one.token);
      expect({ ...one, isValid }).toEqual({ ...one, isValid: true });
      expect(remainingMs).toBeGreaterThanOrEqual(one.until - now);
    }
    const { leases } = given(await this.host.call("leases.list", { limit: 200 }));
    for (const one of leases) {
      expect(leases.filter((other) => meet(one.resource, other.resource))).toEqual([one]);
    }
  }
}

/** Safety as holders see it: whether the alarm rings, rings late or never. */
export function leaseTrustRules(it: RuleTest): void {
  it("no two holders trust overlapping leases, whatever happens", async ({ open, runs }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 80 }), async (steps) => {
        const world = new World(await open());
        for (const [at] of world.holders.entries()) await world.take({ kind: "connect", who: at });
        for (const one of steps) {
          await world.take(one);
          await world.look();
        }
      }),
      runs(60),
    );
  });
}
