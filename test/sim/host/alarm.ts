import type { Sim } from "../sim.ts";
import type { SimHost } from "./sim-host.ts";

/** Rings at one instant that change only when the next check is due; each may check a few chats only. */
const mostIdleRings = 50;

/**
 * The one alarm of the host. A write sets it earlier, only a ring sets it later. It may ring late, twice or never;
 * then the watchdog finds at the next request that something is due and no alarm is set.
 */
export class Alarm {
  /** Null: none is set. */
  at: number | null = null;
  readonly #sim: Sim;
  readonly #host: SimHost;
  #turn = 0;
  #isRinging = false;
  #writesSeen = 0;
  #idleRings = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
  }

  /** After a commit. */
  arm(): void {
    if (this.#writesSeen === this.#host.sql.writes) return;
    this.#writesSeen = this.#host.sql.writes;
    const next = this.#host.nextDue();
    if (next !== null && (this.at === null || next < this.at)) this.#set(next);
  }

  /** The watchdog, which runs with each request. */
  watch(): void {
    if (this.at !== null || this.#isRinging) return;
    const next = this.#host.nextDue();
    if (next === null) return;
    if (next <= this.#sim.hostNow) this.#sim.count("watchdog found what was due");
    this.#set(next);
  }

  lose(): void {
    this.at = null;
    this.#turn += 1;
  }

  /** Sets the alarm again in the present weather: a late one is then on time. */
  reset(): void {
    if (this.at !== null) this.#set(this.at);
  }

  /** Nothing may be overdue: the alarm is set, and its time has not come. */
  get isOnTime(): boolean {
    return this.at !== null && this.at > this.#sim.hostNow;
  }

  #set(at: number): void {
    const { rng } = this.#sim;
    const { alarmLost, alarmLate, alarmVeryLate, alarmTwice } = this.#host.weather;
    const waitMs = at - this.#sim.hostNow;
    const turn = (this.#turn += 1);
    this.at = at;
    if (rng.chance(alarmLost)) {
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
    this.lose();
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

/** A token whose dispatch failed comes again, a few times. */
const failedMs = 2_000;
const mostTries = 4;

/** The queue between the outbox and the dispatch. It doubles, reorders, delays and drops tokens, and a restart empties it. */
export class DispatchQueue {
  readonly #sim: Sim;
  readonly #host: SimHost;
  #restarts = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
  }

  send(): void {
    const { rng } = this.#sim;
    const { queueLoss, queueTwice } = this.#host.weather;
    if (rng.chance(queueLoss)) return this.#sim.count("token lost");
    this.#deliver(this.#delay(), "token");
    if (rng.chance(queueTwice)) this.#deliver(this.#delay(), "token again");
  }

  forget(): void {
    this.#restarts += 1;
    this.#sim.count("queue forgot");
  }

  #delay(): number {
    const { rng } = this.#sim;
    if (rng.chance(this.#host.weather.queueSlow)) return rng.between(500, rng.chance(0.2) ? 400_000 : 20_000);
    return rng.between(2, 60);
  }

  #deliver(inMs: number, label: string, tries = 1): void {
    const restarts = this.#restarts;
    this.#sim.later(inMs, label, () => {
      if (restarts !== this.#restarts) return false;
      if (this.#host.dispatch()) return true;
      if (tries < mostTries) return this.#deliver(failedMs, "token after a failure", tries + 1);
      return this.#host.lostToken();
    });
  }
}
