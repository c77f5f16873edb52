import type { Platform } from "#src/coordinator-client/edge/platform.ts";
import { T0 } from "#harness/store/store-test.ts";

type FakeTimer = Readonly<{ at: number; seq: number; work: () => void }>;

/** The time of the world: it passes only when the test says so, and nothing sleeps. */
export class FakeTime {
  #now = 0;
  #seq = 0;
  readonly #timers = new Set<FakeTimer>();
  readonly #listeners: (() => Promise<void>)[] = [];

  readonly setTimer: Platform["setTimer"] = (work, ms) => {
    const timer = { at: this.#now + Math.max(0, ms), seq: (this.#seq += 1), work };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  get now(): number {
    return this.#now;
  }

  /** How many have been set and are not over. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Called with each bit of time that passes, before what happens then. */
  onPassing(listener: () => Promise<void>): void {
    this.#listeners.push(listener);
  }

  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const next = this.#next();
      if (!next || next.at > end) break;
      await this.#move(next.at);
      if (this.#timers.delete(next)) next.work();
    }
    await this.#move(end);
    await settled();
  }

  async until<T>(promise: Promise<T>, atMostMs = 600_000): Promise<T> {
    const progress = { isOver: false };
    const done = promise.finally(() => (progress.isOver = true));
    done.catch(() => undefined);
    await this.untilTrue(() => progress.isOver, atMostMs);
    return done;
  }

  async untilTrue(isTrue: () => boolean, atMostMs = 600_000): Promise<void> {
    const end = this.#now + atMostMs;
    await settled();
    while (!isTrue()) {
      const next = this.#next();
      if (!next || next.at > end) throw new Error(`nothing came within ${atMostMs} ms`);
      await this.pass(next.at - this.#now);
    }
  }

  async #move(to: number): Promise<void> {
    if (to <= this.#now) return;
    this.#now = to;
    for (const listener of this.#listeners) await listener();
  }

  #next(): FakeTimer | undefined {
    let first: FakeTimer | undefined;
    for (const timer of this.#timers) {
      if (!first || timer.at < first.at || (timer.at === first.at && timer.seq < first.seq)) first = timer;
    }
    return first;
  }
}

/** The clocks of a machine, which run at a rate of their own: it may sleep, and its wall clock may be set. */
export class SleepingClocks {
  readonly rate: number;
  readonly #true: { readonly now: number };
  readonly #start: number;
  #wallOffset = T0 + 777;
  #sleptMs = 0;
  #asleepSince: number | null = null;

  constructor(time: { readonly now: number }, rate = 1) {
    this.#true = time;
    this.#start = time.now;
    this.rate = rate;
  }

  readonly clock: Platform["clock"] = {
    // From some point that has nothing to do with the wall clock.
    monotonic: () => 5_000 + ((this.#asleepSince ?? this.#true.now) - this.#start - this.#sleptMs) * this.rate,
    wall: () => (this.#true.now - this.#start) * this.rate + this.#wallOffset,
  };

  get isAsleep(): boolean {
    return this.#asleepSince !== null;
  }

  fallAsleep(): void {
    this.#asleepSince ??= this.#true.now;
  }

  wake(): void {
    if (this.#asleepSince === null) return;
    this.#sleptMs += this.#true.now - this.#asleepSince;
    this.#asleepSince = null;
  }

  setWall(byMs: number): void {
    this.#wallOffset += byMs;
  }
}

/** A machine in that world. */
export class Machine extends SleepingClocks {
  readonly #time: FakeTime;
  #waiting: (() => void)[] = [];

  constructor(time: FakeTime) {
    super(time);
    this.#time = time;
  }

  /** By the monotonic clock, as in Node: the time of a sleep does not count. */
  readonly setTimer: Platform["setTimer"] = (work, ms) => {
    const due = this.clock.monotonic() + Math.max(0, ms);
    let isCancelled = false;
    const ring = (): void => {
      if (isCancelled) return;
      const leftMs = due - this.clock.monotonic();
      // Sums of fractions are never quite what they should be.
      if (leftMs < 1e-6) work();
      else cancel = this.#time.setTimer(() => this.deliver(ring), leftMs);
    };
    let cancel = this.#time.setTimer(() => this.deliver(ring), ms);
    return () => {
      isCancelled = true;
      cancel();
    };
  };

  /** Something comes to the machine; while it sleeps that waits. */
  deliver(work: () => void): void {
    if (this.isAsleep) this.#waiting.push(work);
    else work();
  }

  override wake(): void {
    super.wake();
    for (const work of this.#waiting.splice(0)) work();
  }

  async sleep(ms: number): Promise<void> {
    this.fallAsleep();
    await this.#time.pass(ms);
    this.wake();
    await settled();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

export { seededRandom } from "#harness/clock/seeded-random.ts";
