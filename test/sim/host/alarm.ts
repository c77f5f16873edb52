import type { Sim } from "../sim.ts";
import type { HostBugs } from "../bug.ts";
import type { SimHost } from "./sim-host.ts";

/** Rings at one instant that change nothing but when to look again; each may look at a few chats only. */
const mostIdleRings = 50;

/**
 * The one alarm: set earlier by any write that needs it, later only when it rings. It may ring late, twice, or never; in the last case the
 * watchdog finds at the next request that something is due and no alarm is set.
 */
export class Alarm {
  /** Null: none is set. */
  at: number | null = null;
  readonly #sim: Sim;
  readonly #bugs: HostBugs;
  readonly #host: SimHost;
  #turn = 0;
  #isRinging = false;
  #writesSeen = 0;
  #idleRings = 0;

  constructor(sim: Sim, bugs: HostBugs, host: SimHost) {
    this.#sim = sim;
    this.#bugs = bugs;
    this.#host = host;
  }

  /** After a commit. */
  arm(): void {
    if (this.#writesSeen === this.#host.sql.writes) return;
    this.#writesSeen = this.#host.sql.writes;
    const next = this.#host.nextDue();
    if (next !== null && (this.at === null || next < this.at)) this.#set(next);
  }

  /** On each request: is something due, and no alarm set? */
  watch(): void {
    if (this.at !== null || this.#isRinging || !this.#bugs.hasWatchdog) return;
    const next = this.#host.nextDue();
    if (next === null) return;
    if (next <= this.#sim.hostNow) this.#sim.count("watchdog found what was due");
    this.#set(next);
  }

  /** It will not ring, and nobody knows. */
  lose(): void {
    this.at = null;
    this.#turn += 1;
  }

  /** From now on the weather is another one: what was to ring late rings in time. */
  reset(): void {
    if (this.at !== null) this.#set(this.at);
  }

  /** The clock of the host stands at or behind what is set: nothing may be overdue. */
  get isOnTime(): boolean {
    return this.at !== null && this.at > this.#sim.hostNow;
  }

  #set(at: number): void {
    const { rng } = this.#sim;
    const { alarmLost, alarmLate, alarmVeryLate, alarmTwice } = this.#host.weather;
    const waitMs = at - this.#sim.hostNow;
    const turn = (this.#turn += 1);
    this.at = at;
    if (this.#bugs.losesAlarms || rng.chance(alarmLost)) {
      this.#sim.later(waitMs, "alarm lost", () => (turn === this.#turn ? void (this.at = null) : false));
      return;
    }
    const lateMs = rng.chance(alarmLate) ? rng.between(1, rng.chance(alarmVeryLate) ? 60_000 : 1_500) : 0;
    this.#sim.later(waitMs + lateMs, lateMs > 0 ? "alarm late" : "alarm", () =>
      turn === this.#turn ? this.#ring() : false,
    );
    if (rng.chance(alarmTwice))
      this.#sim.later(waitMs + lateMs + rng.between(0, 3_000), "alarm again", () => this.#ring());
  }

  #ring(): void {
    const before = this.#host.sql.progress;
    this.at = null;
    this.#turn += 1;
    this.#isRinging = true;
    const problems = this.#host.sweep();
    this.#isRinging = false;
    if (problems.length > 0) this.#sim.fail("due", `a sweep failed: ${problems.join("; ")}`);
    this.#writesSeen = this.#host.sql.writes;
    const next = this.#host.nextDue();
    const isIdle = next !== null && next <= this.#sim.hostNow && before === this.#host.sql.progress;
    this.#idleRings = isIdle ? this.#idleRings + 1 : 0;
    if (this.#idleRings >= mostIdleRings) this.#sim.fail("due", "the alarm rings again and again, and nothing changes");
    if (next !== null) this.#set(next);
  }
}
