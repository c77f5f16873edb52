import { toTrust, type Instant } from "../../../src/coordinator-client/edge/trust.ts";
import { Holding } from "../trust.ts";
import type { Client } from "./client.ts";
import { ask, cancelWait, release, renew, type Asked } from "./lease-calls.ts";

type Granted = Extract<Asked, { state: "granted" }>;
type Wish = Pick<Holding, "resource" | "ttlMs" | "waitMs" | "lockDelayMs" | "isBound">;

/** Old tokens that are kept to try what they still open. */
const mostOldTokens = 8;

/** The client's side of leases, by the rules of trust in docs/spec/edge-client.md. */
export class Leasing {
  /** By resource. */
  readonly holdings = new Map<string, Holding>();
  /** What it held once. */
  readonly old: { readonly resource: string; readonly token: number }[] = [];
  /** Requests that it does not want any more. */
  readonly givenUp = new Set<string>();
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  want(wish: Wish): void {
    if (this.holdings.has(wish.resource)) return;
    const { sim } = this.#client.around;
    const holding = new Holding(this.#client, {
      ...wish,
      requestId: this.#client.newRequestId(),
      askedAt: sim.now,
    });
    this.holdings.set(wish.resource, holding);
    this.#ask(holding);
  }

  giveBack(holding: Holding): void {
    if (holding.state === "held") {
      if (!this.#client.around.quirks.keepsReleased) this.#drop(holding);
      release(this.#client, holding.resource, holding.token);
    } else {
      this.#drop(holding);
      cancelWait(this.#client, holding);
    }
  }

  giveBackAll(): void {
    for (const holding of this.holdings.values()) if (holding.state === "held") this.giveBack(holding);
  }

  renew(holding: Holding): void {
    const { token } = holding;
    const { life } = this.#client.link;
    renew(this.#client, holding, (asked, sent) => {
      if (holding.state === "over" || holding.token !== token || !asked) return;
      if (asked.state === "granted") this.#confirmed(holding, asked, sent, life);
      else if (asked.state === "refused" && asked.code === "not_holder") this.#drop(holding);
    });
  }

  /** The host says that something may have been granted. */
  hinted(resource: string): void {
    const holding = this.holdings.get(resource);
    if (holding && holding.state !== "held") this.#ask(holding);
  }

  /** Registered (again): whether the bound ones are still bound is for the coordinator to say. */
  registered(): void {
    for (const holding of this.holdings.values()) {
      if (holding.state !== "held") this.#ask(holding);
      else if (!this.#client.around.quirks.pingsOutliveLives) this.renew(holding);
    }
  }

  /** A ping that left at `sent` was answered: what is bound to the chat's life lives on. */
  heard(sent: Instant): void {
    const { link, around } = this.#client;
    for (const holding of this.holdings.values()) {
      if (holding.state !== "held" || !holding.isBound) continue;
      const { pingsOutliveLives, pingsRevive } = around.quirks;
      // What has run out may be somebody else's by now, and the chat may live on: only a renewal can tell.
      if (holding.trustMs() === 0 && !pingsRevive) holding.life = null;
      if (holding.life === link.life || pingsOutliveLives) this.#prove(holding, sent, holding.spanMs);
      else this.renew(holding);
    }
  }

  /** Whatever the clocks did, what is held now is held now. */
  askAgain(): void {
    for (const holding of this.holdings.values()) if (holding.state === "held") this.renew(holding);
  }

  /** A clock was changed: what is believed may have grown. */
  recheck(): void {
    for (const holding of this.holdings.values()) this.#client.around.trust.check(holding);
  }

  dropAll(): void {
    for (const holding of this.holdings.values()) this.#drop(holding);
  }

  #drop(holding: Holding): void {
    if (holding.token > 0) this.old.push({ resource: holding.resource, token: holding.token });
    if (this.old.length > mostOldTokens) this.old.shift();
    this.givenUp.add(holding.requestId);
    this.#client.around.trust.drop(holding);
    if (this.holdings.get(holding.resource) === holding) this.holdings.delete(holding.resource);
  }

  #ask(holding: Holding): void {
    const { life } = this.#client.link;
    const answered = (asked: Asked | null, sent: Instant): void => {
      if (!asked) return;
      if (asked.state === "granted") this.#granted(holding, asked, sent, life);
      else if (holding.state === "over" || holding.state === "held") return;
      else if (asked.state === "waiting") this.#waits(holding);
      else this.#refused(holding, asked.code);
    };
    ask(this.#client, holding, answered, answered);
  }

  #granted(holding: Holding, asked: Granted, sent: Instant, life: number): void {
    if (holding.state === "over") return this.#unwanted(holding, asked.token);
    if (asked.token < holding.token) return;
    // It leads still, and has said that it does not want to: that may arrive yet.
    if (this.#isGivenBack(asked.token)) return this.#waits(holding);
    if (asked.token > holding.token) this.#begins(holding, asked);
    holding.state = "held";
    const { trustsWhileWaiting, ignoresRemaining } = this.#client.around.quirks;
    if (holding.hasWaited && !trustsWhileWaiting) return this.renew(holding);
    const isWhole = ignoresRemaining || holding.hasWaited;
    this.#confirmed(holding, { ...asked, remainingMs: isWhole ? asked.ttlMs : asked.remainingMs }, sent, life);
  }

  /** It came with a copy of an old request, or after its wait was given up. */
  #unwanted({ resource }: Holding, token: number): void {
    if (!this.#isKnown(token)) release(this.#client, resource, token);
  }

  /** Given back already, or held by a later wish: an election knows its leader by whatever request. */
  #isKnown(token: number): boolean {
    return this.#isGivenBack(token) || [...this.holdings.values()].some((one) => one.token === token);
  }

  #isGivenBack(token: number): boolean {
    return this.old.some((one) => one.token === token);
  }

  /** A grant of its own, also where an earlier one was lost meanwhile. */
  #begins(holding: Holding, { token, isBound, ttlMs }: Granted): void {
    if (holding.token > 0) this.#client.around.trust.drop(holding);
    holding.token = token;
    holding.isBound = isBound;
    holding.spanMs = ttlMs;
  }

  /** The coordinator has said that it is held. */
  #confirmed(holding: Holding, { isBound, ttlMs, remainingMs }: Granted, sent: Instant, life: number): void {
    holding.isBound = isBound;
    holding.spanMs = ttlMs;
    if (isBound && life === this.#client.link.life) holding.life = life;
    this.#prove(holding, sent, remainingMs);
    this.#planRenewal(holding);
  }

  #prove(holding: Holding, sent: Instant, spanMs: number): void {
    const { trust, quirks } = this.#client.around;
    trust.prove(holding, quirks.hasMargin ? toTrust(sent, spanMs, holding.spanMs) : { from: sent, forMs: spanMs });
  }

  #planRenewal(holding: Holding): void {
    const { link, around } = this.#client;
    const { rng } = around.sim;
    const isFollowing = holding.isBound && holding.life === link.life && link.isConnected;
    if (isFollowing || !holding.isRenewed) return;
    // Now and then somebody forgets it, and it runs out.
    holding.isRenewed = !rng.chance(around.habits.forgets);
    const plan = (holding.plan += 1);
    this.#client.later(holding.spanMs * (0.2 + rng.below(50) / 100), "renews", () => {
      if (holding.state === "held" && holding.plan === plan && holding.isRenewed) this.renew(holding);
    });
  }

  #waits(holding: Holding): void {
    const { sim } = this.#client.around;
    holding.state = "waiting";
    holding.hasWaited = true;
    if (sim.now >= holding.askedAt + holding.waitMs) return this.giveBack(holding);
    this.#client.later(sim.rng.between(2_000, 15_000), "asks whether it is his turn", () => {
      if (holding.state === "waiting") this.#ask(holding);
    });
  }

  #refused(holding: Holding, code: string): void {
    if (code === "lease_held") return this.#drop(holding);
    // The chat itself is the matter: it asks again once that is settled.
    if (this.#client.link.isRegistered) this.#drop(holding);
  }
}
