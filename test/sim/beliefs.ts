import type { HeldLease } from "#src/coordinator-client/edge/leases.ts";
import type { Client } from "./client/client.ts";
import { atoms, indexesOf, maskOf, type Sim } from "./sim.ts";

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
