import type { EdgeEvent } from "#src/coordinator-client/edge/events.ts";
import type { HoldOptions } from "#src/coordinator-client/edge/leases.ts";
import type { Refusal } from "#src/contract/errors.ts";
import { err, type Result } from "#src/shared/result.ts";
import { Holding } from "../beliefs.ts";
import type { Client } from "./client.ts";

/** What is asked for. */
export interface Wanted {
  readonly resource: string;
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly lockDelayMs: number;
  readonly isBound: boolean;
}

/** Old tokens that are kept to try what they still open. */
const mostOldTokens = 8;
const scheme = "leader:";
const forgotten: Refusal = { code: "throttled", message: "this renewal is forgotten" };

/** What a process has asked for, and holds, by the client that is shipped. */
export class Leasing {
  /** By resource. */
  readonly holdings = new Map<string, Holding>();
  /** What it held once. */
  readonly old: { readonly resource: string; readonly token: number }[] = [];
  /** Requests that it does not want any more. */
  readonly givenUp = new Set<string>();
  /** Tokens that are not renewed any more. */
  readonly #forgotten = new Set<number>();
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
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
      // Until here it is judged whether the client trusts it still.
      this.#client.around.leaseBeliefs.drop(holding);
    });
  }

  giveBackAll(): void {
    for (const holding of this.holdings.values()) this.giveBack(holding);
  }

  heard(event: EdgeEvent): void {
    if (event.type === "right" && event.state === "doubtful") this.#doubted(event.name);
  }

  /** It is not renewed in time: at some time it is let go. */
  #doubted(resource: string): void {
    const { sim } = this.#client.around;
    this.#client.later(sim.rng.between(5_000, 60_000), "lets go", () => {
      const holding = this.holdings.get(resource);
      if (holding?.right?.state === "doubtful") this.giveBack(holding);
    });
  }

  /**
   * Now and then a renewal is forgotten, and all later ones of the same token: so what it stands for runs out.
   * @returns the answer to a request that never leaves the process; null: it is sent
   */
  instead(name: string, input: unknown): Result<object, Refusal> | null {
    const { sim, habits } = this.#client.around;
    if (name !== "leases.renew" || habits.isNight) return null;
    const { token } = input as { token: number };
    if (sim.rng.chance(habits.forgets)) this.#forgotten.add(token);
    return this.#forgotten.has(token) ? err(forgotten) : null;
  }

  /** Looks at all that it may believe now. */
  recheck(): void {
    for (const holding of this.holdings.values()) this.#client.around.leaseBeliefs.check(holding);
  }

  dropAll(): void {
    for (const holding of this.holdings.values()) this.#drop(holding);
  }

  async #hold(holding: Holding, { resource, ttlMs, waitMs, lockDelayMs, isBound }: Wanted): Promise<void> {
    const { edge } = this.#client;
    const { requestId } = holding;
    const options: HoldOptions = { onLost: () => this.#drop(holding) };
    const taken = resource.startsWith(scheme)
      ? await edge.lead({ name: resource.slice(scheme.length), requestId, ttlMs, waitMs }, options)
      : await edge.hold({ resource, requestId, ttlMs, waitMs, lockDelayMs, isBound }, options);
    if (!taken.ok) return this.#drop(holding);
    holding.right = taken.value;
    this.#client.around.leaseBeliefs.add(holding);
  }

  #drop(holding: Holding): void {
    this.#forget(holding);
    this.#client.around.leaseBeliefs.drop(holding);
  }

  #forget(holding: Holding): void {
    if (holding.token > 0) this.old.push({ resource: holding.resource, token: holding.token });
    if (this.old.length > mostOldTokens) this.old.shift();
    this.givenUp.add(holding.requestId);
    if (this.holdings.get(holding.resource) === holding) this.holdings.delete(holding.resource);
  }
}
