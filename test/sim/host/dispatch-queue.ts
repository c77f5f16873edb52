import type { Sim } from "../sim.ts";
import type { SimHost } from "./sim-host.ts";

/** A token whose look failed comes again. */
const failedMs = 2_000;
const mostTries = 4;

/** The queue between the outbox and the look at what is queued: it doubles, reorders, delays and drops, and forgets all when it restarts. */
export class DispatchQueue {
  readonly #sim: Sim;
  readonly #host: SimHost;
  /** Another one after each restart. */
  #turn = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
  }

  send(): void {
    const { rng } = this.#sim;
    const { queueLoss, queueTwice } = this.#host.weather;
    if (rng.chance(queueLoss)) return this.#sim.count("token lost");
    this.#bring(this.#delay(), "token");
    if (rng.chance(queueTwice)) this.#bring(this.#delay(), "token again");
  }

  forget(): void {
    this.#turn += 1;
    this.#sim.count("queue forgot");
  }

  #delay(): number {
    const { rng } = this.#sim;
    const { queueSlow } = this.#host.weather;
    if (rng.chance(queueSlow)) return rng.between(500, rng.chance(0.2) ? 400_000 : 20_000);
    return rng.between(2, 60);
  }

  #bring(inMs: number, label: string, tries = 1): void {
    const turn = this.#turn;
    this.#sim.later(inMs, label, () => {
      if (turn !== this.#turn) return false;
      if (this.#host.dispatch()) return true;
      if (tries < mostTries) return this.#bring(failedMs, "token after a failure", tries + 1);
      return this.#host.lostToken();
    });
  }
}
