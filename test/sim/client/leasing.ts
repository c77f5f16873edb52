import type { Change } from "#src/contract/state.ts";
import type { Client } from "./client.ts";
import { Leases, type HeldLease, type HoldOptions } from "./held-leases.ts";
import type { Failure } from "#src/contract/errors.ts";
import type { Platform } from "#src/coordinator-client/edge/platform.ts";
import { err, type Result } from "#src/shared/result.ts";
import { atoms, elections, indexesOf, resources, type Rng, maskOf, type Sim } from "../sim.ts";
import type { Act } from "./acts.ts";

const prefixes = ["", "", "count/", "tmp/", "$leader/", "$chat/"];

/** What a watch of the client brings: each change below its prefix once, in order and without a gap. */
export class Watching {
  readonly prefix: string;
  revision = 0;
  readonly #client: Client;
  /** Everything is to be read again, so that changes before the next ones may be missing. */
  #isNew = true;

  constructor(client: Client) {
    this.#client = client;
    this.prefix = client.world.sim.rng.pick(prefixes);
  }

  isBehind(newest: number): boolean {
    return !this.#isNew && this.revision < newest;
  }

  follow(): void {
    this.#client.edge.onChanges(this.prefix, (changes) => {
      this.#client.world.sim.count(changes === null ? "watch begun" : "watch continued");
      if (changes === null) this.#isNew = true;
      else this.#receive(changes);
    });
  }

  #receive(changes: readonly Change[]): void {
    const { sim, oracle } = this.#client.world;
    const got = changes.map(({ revision }) => revision);
    const [first = 0, last = 0] = [got[0], got.at(-1)];
    const after = this.#isNew ? first - 1 : this.revision;
    // An answer may arrive after a restore, and have changes that are lost.
    const isWhole = oracle.changes.between(this.prefix, after, last).every(({ revision }) => got.includes(revision));
    const isOnce = got.every((revision, at) => revision > (got[at - 1] ?? after));
    const isBelow = changes.every(({ key }) => key.startsWith(this.prefix));
    if (!isWhole || !isOnce || !isBelow)
      sim.fail("client", `${this.#client.name}: ${got.join(" ")} below "${this.prefix}" after ${this.revision}`);
    this.#isNew = false;
    this.revision = last;
  }
}

type Wanted = Readonly<{ resource: string; ttlMs: number; waitMs: number; lockDelayMs: number; isBound: boolean }>;

/** Tokens of ended leases, kept to try what they still open. */
const mostOldTokens = 8;
const scheme = "leader:";
const forgotten: Failure = { code: "throttled", message: "this renewal is withheld" };

export class Leasing {
  readonly holdings = new Map<string, Holding>();
  readonly old: { readonly resource: string; readonly token: number }[] = [];
  readonly #forgotten = new Set<number>();
  readonly #client: Client;
  readonly #leases: Leases;

  constructor(client: Client, platform: Platform) {
    this.#client = client;
    this.#leases = new Leases({ client: client.edge, platform });
  }

  want(wanted: Wanted): void {
    if (this.holdings.has(wanted.resource)) return;
    const holding = new Holding(this.#client, wanted.resource, this.#client.newRequestId());
    this.holdings.set(wanted.resource, holding);
    this.#client.run(() => this.#hold(holding, wanted));
  }

  giveBack(holding: Holding): void {
    const { right } = holding;
    if (!right) return;
    this.#forget(holding);
    this.#client.run(async () => {
      await right.release();
      // The client may not trust the lease up to here either.
      this.#client.world.leaseBeliefs.drop(holding);
    });
  }

  giveBackAll(): void {
    for (const holding of this.holdings.values()) this.giveBack(holding);
  }

  /** The coordinator frees everything that the process holds. */
  leave(): void {
    this.#leases.leave();
  }

  #doubted(holding: Holding): void {
    this.#client.later(this.#client.world.sim.rng.between(5_000, 60_000), "lets go", () => {
      if (holding.right?.state === "doubtful") this.giveBack(holding);
    });
  }

  /**
   * Now and then a renewal is withheld, and all later ones of its token, so that leases expire.
   * @returns the answer to a request that never leaves the process; null: it is sent
   */
  withhold(name: string, input: unknown): Result<object> | null {
    const { sim, habits } = this.#client.world;
    if (name !== "leases.renew" || habits.isNight) return null;
    const { token } = input as { token: number };
    if (sim.rng.chance(habits.forgets)) this.#forgotten.add(token);
    return this.#forgotten.has(token) ? err(forgotten) : null;
  }

  recheck(): void {
    for (const holding of this.holdings.values()) this.#client.world.leaseBeliefs.check(holding);
  }

  dropAll(): void {
    for (const holding of this.holdings.values()) this.#drop(holding);
  }

  async #hold(holding: Holding, { resource, ttlMs, waitMs, lockDelayMs, isBound }: Wanted): Promise<void> {
    const { self } = this.#client;
    if (!self) return this.#drop(holding);
    const { requestId } = holding;
    const options: HoldOptions = { onLost: () => this.#drop(holding), onDoubt: () => this.#doubted(holding) };
    const taken = resource.startsWith(scheme)
      ? await this.#leases.lead(self, { name: resource.slice(scheme.length), requestId, ttlMs, waitMs }, options)
      : await this.#leases.hold(self, { resource, requestId, ttlMs, waitMs, lockDelayMs, isBound }, options);
    if (!taken.ok) return this.#drop(holding);
    holding.right = taken.value;
    this.#client.world.leaseBeliefs.add(holding);
  }

  #drop(holding: Holding): void {
    this.#forget(holding);
    this.#client.world.leaseBeliefs.drop(holding);
  }

  #forget(holding: Holding): void {
    if (holding.token > 0) this.old.push({ resource: holding.resource, token: holding.token });
    if (this.old.length > mostOldTokens) this.old.shift();
    if (this.holdings.get(holding.resource) === holding) this.holdings.delete(holding.resource);
  }
}

function want({ leasing, world }: Client, rng: Rng, isElection: boolean): void {
  leasing.want({
    resource: isElection ? scheme + rng.pick(elections) : rng.pick(resources),
    ttlMs: rng.pick([3_000, 5_000, 10_000, 20_000, 60_000]),
    waitMs: rng.pick([0, 0, 5_000, 30_000, 120_000]),
    lockDelayMs: rng.chance(0.2) ? rng.between(1_000, 10_000) : 0,
    isBound: rng.chance(world.habits.bound),
  });
}

function write(client: Client, rng: Rng, resource: string, token: number): void {
  const by = client.identity.chat;
  client.send("state.set", { key: `work/${rng.below(4)}`, value: `${by} ${token}`, guard: { resource, token }, by });
}

function guarded(client: Client, rng: Rng, holding: Holding): void {
  if (!holding.isTrusted()) return;
  const part = rng.chance(0.5) ? null : (atoms[rng.pick(indexesOf(holding.mask))] ?? null);
  write(client, rng, part ?? holding.resource, holding.token);
}

function tooLate(client: Client, rng: Rng): void {
  const { old } = client.leasing;
  if (old.length === 0) return;
  const { resource, token } = rng.pick(old);
  write(client, rng, resource, token);
}

function withOne(act: (client: Client, rng: Rng, holding: Holding) => void): Act["run"] {
  return (client, rng) => {
    const all = [...client.leasing.holdings.values()];
    if (all.length > 0) act(client, rng, rng.pick(all));
  };
}

export const leaseActs: readonly Act[] = [
  { name: "acquire", weight: 24, run: (client, rng) => want(client, rng, false) },
  { name: "campaign", weight: 6, run: (client, rng) => want(client, rng, true) },
  { name: "give back", weight: 12, run: withOne((client, _, holding) => client.leasing.giveBack(holding)) },
  { name: "confirm", weight: 5, run: withOne((client, _, { right }) => right && client.run(() => right.confirm())) },
  { name: "guarded write", weight: 10, run: withOne(guarded) },
  { name: "write with an old token", weight: 3, run: tooLate },
];

export class Holding {
  readonly owner: Client;
  readonly resource: string;
  readonly requestId: string;
  readonly mask: number;
  right: HeldLease | null = null;
  #isOver = false;

  constructor(owner: Client, resource: string, requestId: string) {
    this.owner = owner;
    this.resource = resource;
    this.requestId = requestId;
    this.mask = maskOf(resource);
  }

  get token(): number {
    return this.right?.token ?? 0;
  }

  end(): void {
    this.#isOver = true;
  }

  isTrusted(): boolean {
    return this.owner.isAlive && !this.#isOver && this.right?.isTrusted() === true;
  }
}

/**
 * The leases that all processes trust at one true instant, judged by their clocks and answers alone, never by the
 * tables. Trust begins and grows only with an event of the process or a change of a clock, so it is checked then.
 */
export class LeaseBeliefs {
  readonly #sim: Sim;
  readonly #byAtom: Holding[][] = atoms.map(() => []);
  readonly #byToken = new Map<number, Holding>();
  /** The highest token of histories whose end a restore may have lost. */
  lostUpTo = 0;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  add(holding: Holding): void {
    this.#byToken.set(holding.token, holding);
    for (const index of indexesOf(holding.mask)) (this.#byAtom[index] as Holding[]).push(holding);
    this.check(holding);
  }

  check(holding: Holding): void {
    if (!holding.isTrusted()) return;
    const { owner, resource, token, mask } = holding;
    for (const index of indexesOf(mask)) {
      for (const other of this.#byAtom[index] as Holding[]) {
        if (other === holding || !other.isTrusted()) continue;
        const both = `${owner.name} (${resource}, token ${token}) and ${other.owner.name} (${other.resource}, token ${other.token})`;
        this.#sim.fail("one-holder", `${both} both trust ${atoms[index]}`);
      }
    }
  }

  drop(holding: Holding): void {
    holding.end();
    if (this.#byToken.get(holding.token) === holding) this.#byToken.delete(holding.token);
    for (const index of indexesOf(holding.mask)) {
      const believed = this.#byAtom[index] as Holding[];
      const found = believed.indexOf(holding);
      if (found >= 0) believed.splice(found, 1);
    }
  }

  /** The coordinator has freed the lease, so no process may trust it any more. */
  freed(token: number, resource: string): void {
    const holding = this.#byToken.get(token);
    if (!holding?.isTrusted() || token <= this.lostUpTo) return;
    this.#sim.fail("kept-while-trusted", `${resource} is free, and ${holding.owner.name} trusts it (token ${token})`);
  }
}
