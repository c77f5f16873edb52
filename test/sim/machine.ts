import type { Clock } from "#src/coordinator-client/edge/trust.ts";
import type { Sim } from "./sim.ts";

/**
 * A computer with its clocks. Monotonic time stands still while it is suspended; the wall clock goes on then, and is set forward and back at
 * any time. Both run a little fast or slow.
 */
export class Machine implements Clock {
  readonly name: string;
  /** A new one after each start of the machine. */
  boot = 1;
  isSuspended = false;
  readonly #sim: Sim;
  readonly #rate: number;
  #mono = 0;
  #wallShift = 0;
  #since: number;
  #start: number;

  constructor(sim: Sim, name: string, rate: number) {
    this.name = name;
    this.#sim = sim;
    this.#rate = rate;
    this.#since = sim.now;
    this.#start = sim.now;
  }

  monotonic(): number {
    return this.#mono + (this.isSuspended ? 0 : (this.#sim.now - this.#since) * this.#rate);
  }

  wall(): number {
    return this.#start + (this.#sim.now - this.#start) * this.#rate + this.#wallShift;
  }

  /** How long it takes in truth until the clocks of this machine have gone on by so much. */
  trueMs(ms: number): number {
    return ms / this.#rate;
  }

  suspend(): void {
    this.#mono = this.monotonic();
    this.isSuspended = true;
  }

  wake(): void {
    // Twice: its monotonic clock would go back.
    if (!this.isSuspended) return;
    this.#since = this.#sim.now;
    this.isSuspended = false;
  }

  setWall(byMs: number): void {
    this.#wallShift += byMs;
  }
}
