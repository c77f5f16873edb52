import { numbersPerEpoch } from "#src/coordination/kernel/tx.ts";
import type { Fact, GrantContext, LeaseFact, PlaceFact } from "../host/facts.ts";
import type { Commit, Request } from "../host/sim-host.ts";
import { all, keepMap, type PutBack } from "./keep.ts";
import { atoms, maskOf, placesOf } from "../resources.ts";
import type { Sim } from "../sim.ts";
import type { LeaseBeliefs } from "../beliefs.ts";

export interface Held extends LeaseFact {
  readonly mask: number;
}

interface Place extends PlaceFact {
  readonly mask: number;
}

type Readers = {
  readonly [Kind in Fact["kind"]]?: (fact: Extract<Fact, { kind: Kind }>, request: Request | null) => void;
};

interface Told {
  readonly leader: string;
  readonly term: number;
}

/** Operations by which a holder, or an admin, gives up a lease before its time. */
const voluntary = new Set(["leases.release", "elections.resign", "chats.unregister", "chats.attest-death"]);

/** Who got what in which order, as the engine wrote it down. */
export class LeaseLedger {
  readonly leases = new Map<string, Held>();
  readonly places = new Map<number, Place>();
  readonly delays = new Map<string, number>();
  readonly #sim: Sim;
  readonly #trust: LeaseBeliefs;
  /** Of each atom: its highest token so far, and until when nobody may have it. */
  readonly #tops: number[] = atoms.map(() => 0);
  /** The same in this history: a restored lease is good again with its own. */
  readonly #present: number[] = atoms.map(() => 0);
  /** The highest token of all. */
  newest = 0;
  readonly #closed: number[] = atoms.map(() => 0);
  /** All tokens of the present epoch are above. */
  #least = 0;
  /** Nothing is granted before. */
  #quietUntil = 0;
  /** Whether the coordinator still has to notice that the quiet after a restore is over. */
  isQuiet: () => boolean = () => false;
  /** The place that was last given up in this commit, in case a grant follows. */
  #left: Place | null = null;

  constructor(sim: Sim, trust: LeaseBeliefs) {
    this.#sim = sim;
    this.#trust = trust;
  }

  committed({ request, result, facts }: Commit): void {
    if (request?.name === "epoch.raise" && result.ok) {
      this.#least = (result.value as { epoch: number }).epoch * numbersPerEpoch;
      this.#quietUntil = this.#sim.hostNow + (request.input as { quietMs: number }).quietMs;
    }
    this.#left = null;
    if (this.#read(facts, request)) this.#lookAtLine();
    if (request && result.ok) this.#lookAtAnswer(request, result.value);
  }

  /** Without the highest tokens: they count over all histories. */
  keep(): PutBack {
    const [closed, present] = [[...this.#closed], [...this.#present]];
    const rest = all(keepMap(this.leases), keepMap(this.places), keepMap(this.delays));
    return () => {
      rest();
      this.#closed.splice(0, closed.length, ...closed);
      this.#present.splice(0, present.length, ...present);
    };
  }

  /** @returns whether leases or lines changed */
  #read(facts: readonly Fact[], request: Request | null): boolean {
    let isTouched = false;
    for (const fact of facts) {
      const read = this.#on[fact.kind] as ((fact: Fact, request: Request | null) => void) | undefined;
      read?.(fact, request);
      isTouched ||= read !== undefined;
    }
    return isTouched;
  }

  /** Whoever is named as a leader or a holder is the one to whom the term, or the token, was granted. */
  #lookAtAnswer({ name, input }: Request, value: unknown): void {
    if (name.startsWith("elections.")) {
      const { leader } = value as { leader?: string | Told | null };
      const resource = `leader:${(input as { name: string }).name}`;
      if (typeof leader === "object") this.#lookAtTold(resource, leader && { ...leader, token: leader.term });
    }
    if (name !== "leases.acquire") return;
    const { lease } = value as { lease?: { resource: string; holder: string; token: number } };
    if (lease) this.#lookAtTold(lease.resource, { ...lease, leader: lease.holder });
  }

  #lookAtTold(resource: string, told: { leader: string; token: number } | null): void {
    const held = this.leases.get(resource);
    const isLive = held !== undefined && (held.isBound === 1 || held.expiresAt > this.#sim.hostNow);
    const isRight = told ? held?.token === told.token && held.holder === told.leader : !isLive;
    if (!isRight) this.#sim.fail("tokens-grow", `${resource}: ${JSON.stringify(told)} is not ${JSON.stringify(held)}`);
  }

  /** Whether a token of a lease is the newest of all that it covers. Says what is wrong; null: nothing. */
  whyStale(resource: string, token: number): string | null {
    const mask = maskOf(resource);
    const held = [...this.leases.values()].find((lease) => lease.token === token);
    if (!held) return "no lease is held with it";
    if ((held.mask & mask) !== mask) return `its lease is on ${held.resource}`;
    const newer = placesOf(mask).find((place) => (this.#present[place] ?? 0) > token);
    return newer === undefined ? null : `${atoms[newer]} was granted with token ${this.#present[newer]} since`;
  }

  readonly #on: Readers = {
    granted: ({ lease, context }) => this.#granted(lease, context),
    freed: ({ resource }, request) => this.#freed(resource, request),
    renewed: (fact) => this.#moved(fact),
    frozen: (fact) => this.#moved(fact),
    queued: ({ place }) => this.#queued(place),
    unqueued: ({ seq }) => {
      this.#left = this.places.get(seq) ?? null;
      this.places.delete(seq);
    },
    "unqueued-all": ({ chat }) => {
      for (const place of this.places.values()) if (place.chat === chat) this.places.delete(place.seq);
    },
    delayed: ({ resource, until }) => void this.delays.set(resource, until),
    undelayed: ({ resource }) => void this.delays.delete(resource),
  };

  #granted(lease: LeaseFact, context: GrantContext): void {
    const sim: Sim = this.#sim;
    const { resource, holder } = lease;
    const mask = maskOf(resource);
    sim.count(this.#left ? "granted to one who waited" : "granted at once");
    sim.must(this.#quietUntil <= sim.hostNow, "restore", () => `${resource} was granted in the quiet after a restore`);
    sim.must(!context.isHolderGone, "line", () => `${resource} was granted to ${holder}, which is gone`);
    for (const other of this.leases.values()) {
      const isApart = (other.mask & mask) === 0;
      sim.must(isApart, "one-holder", () => `${resource} was granted while ${other.holder} holds ${other.resource}`);
    }
    for (const place of placesOf(mask)) this.#raise(place, lease.token);
    this.#lookAtOrder(lease, mask, context);
    this.leases.set(resource, { ...lease, mask });
  }

  #raise(place: number, token: number): void {
    const sim: Sim = this.#sim;
    const top = Math.max(this.#least, this.#tops[place] ?? 0);
    this.newest = Math.max(this.newest, token);
    sim.must(token > top, "tokens-grow", () => `${atoms[place]} was granted with token ${token} after ${top}`);
    const isOpen = (this.#closed[place] ?? 0) <= sim.hostNow;
    sim.must(isOpen, "lock-delay", () => `${atoms[place]} was granted within its lock delay`);
    this.#tops[place] = token;
    this.#present[place] = token;
  }

  /** Nobody who lives, and came before, wants any of it. */
  #lookAtOrder(lease: LeaseFact, mask: number, { living }: GrantContext): void {
    const before = this.#numberOf(lease);
    for (const seq of living) {
      const place = this.places.get(seq);
      const isPassed =
        place !== undefined && seq < before && (place.mask & mask) !== 0 && place.until > this.#sim.hostNow;
      if (isPassed) this.#sim.fail("line", `${lease.holder} got ${lease.resource} before ${place?.chat}`);
    }
  }

  /** Of the place in line that was given up for it; Infinity: it was asked for just now. */
  #numberOf({ resource, holder, incarnation }: LeaseFact): number {
    const left = this.#left;
    this.#left = null;
    const isOwn = left?.resource === resource && left.chat === holder && left.incarnation === incarnation;
    return isOwn ? left.seq : Infinity;
  }

  #freed(resource: string, request: Request | null): void {
    const held = this.leases.get(resource);
    this.#sim.must(held !== undefined, "mirror", () => `${resource} was freed and was not held`);
    this.leases.delete(resource);
    const isForced = request?.name === "leases.force-release";
    this.#trust.freed(held.token, resource, isForced);
    if (!isForced && !isBy(request, held.holder)) this.#ranOut(held);
  }

  #ranOut(held: Held): void {
    const { resource, expiresAt, lockDelayMs } = held;
    this.#sim.count("lease ran out");
    const early = expiresAt - this.#sim.hostNow;
    if (held.isBound === 1) return;
    this.#sim.must(early <= 0, "kept-while-trusted", () => `${resource} is free ${early} ms before its time`);
    for (const place of lockDelayMs > 0 ? placesOf(held.mask) : []) {
      this.#closed[place] = Math.max(this.#closed[place] ?? 0, expiresAt + lockDelayMs);
    }
  }

  #moved({ kind, resource, expiresAt }: Extract<Fact, { kind: "renewed" | "frozen" }>): void {
    const held = this.leases.get(resource);
    this.#sim.must(held !== undefined, "mirror", () => `${resource} was prolonged and is not held`);
    const isShorter = kind === "renewed" && expiresAt < held.expiresAt;
    this.#sim.must(!isShorter, "kept-while-trusted", () => `${resource} became shorter when it was renewed`);
    this.leases.set(resource, { ...held, expiresAt, isBound: kind === "renewed" ? held.isBound : 0 });
  }

  #queued(place: PlaceFact): void {
    this.#sim.count("stands in line");
    this.places.set(place.seq, { ...place, mask: maskOf(place.resource) });
  }

  /** Whoever stands in line is kept from his turn by something whose end will be noticed. */
  #lookAtLine(): void {
    for (const place of this.places.values()) {
      const { chat, resource } = place;
      this.#sim.must(this.#isKept(place), "line", () => `${chat} waits for ${resource}, which is free`);
    }
  }

  #isKept({ mask, seq }: Place): boolean {
    const meets = (other: number): boolean => (other & mask) !== 0;
    for (const lease of this.leases.values()) if (meets(lease.mask)) return true;
    for (const resource of this.delays.keys()) if (meets(maskOf(resource))) return true;
    for (const place of this.places.values()) if (place.seq < seq && meets(place.mask)) return true;
    return this.isQuiet();
  }
}

/** Whether the holder itself asked, or was attested as dead. */
function isBy(request: Request | null, holder: string): boolean {
  if (!request || !voluntary.has(request.name)) return false;
  const input = request.input as { self?: { chat: string }; chat?: string };
  return (input.self?.chat ?? input.chat) === holder;
}
