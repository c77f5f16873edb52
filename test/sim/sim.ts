import { Rng } from "./rng.ts";

interface Entry {
  readonly at: number;
  /** Names the event in counts and traces. */
  readonly label: string;
  /** False: nothing came of it, so it counts as no event. */
  readonly run: () => boolean | void;
}

/** The true time at which every run begins: epochs follow the clock from 2026 on. */
export const T0 = 1_800_000_000_000;

export type Rule =
  | "one-holder"
  | "kept-while-trusted"
  | "tokens-grow"
  | "line"
  | "lock-delay"
  | "guard"
  | "compare-and-set"
  | "state"
  | "watch"
  | "messages"
  | "life"
  | "due"
  | "task"
  | "one-claim"
  | "turn"
  | "restore"
  | "requests"
  | "mirror"
  | "client"
  | "throws";

/** A rule that did not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly rule: Rule;
  /** Events before it. */
  readonly event: number;
  readonly atMs: number;

  constructor(rule: Rule, message: string, event: number, atMs: number) {
    super(`${rule}: ${message}`);
    this.rule = rule;
    this.event = event;
    this.atMs = atMs;
  }
}

/** True time, chance, and the order of events. */
export class Sim {
  now = T0;
  events = 0;
  readonly rng: Rng;
  /** Events and outcomes by name, so that a test sees what a run has covered. */
  readonly counts = new Map<string, number>();
  /** The present event or request, for the message of a violation. */
  doing: unknown = null;
  trace: ((line: string) => void) | null = null;
  /** Called when everything has followed that follows from an event. */
  onSettled: () => void = () => undefined;

  /** Sorted with the earliest last. */
  readonly #agenda: Entry[] = [];
  #isTouched = false;
  #broken: { readonly error: unknown } | null = null;
  #hostShiftMs = 0;
  #hostFloor = 0;

  constructor(seed: number) {
    this.rng = new Rng(seed);
  }

  /** The clock of the host. As in workerd it stands still after it was set back, until true time has caught up. */
  get hostNow(): number {
    return Math.max(this.#hostFloor, this.now + this.#hostShiftMs);
  }

  setHostClock(byMs: number): void {
    this.#hostFloor = this.hostNow;
    this.#hostShiftMs += byMs;
  }

  later(ms: number, label: string, run: () => boolean | void): void {
    const at = this.now + Math.max(0, Math.round(ms));
    let [low, high] = [0, this.#agenda.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#agenda[middle] as Entry).at > at) low = middle + 1;
      else high = middle;
    }
    this.#agenda.splice(low, 0, { at, label, run });
  }

  /** Runs the next event with everything that follows from it at once. @returns false: there is none before `until` */
  async step(until = Infinity): Promise<boolean> {
    if (this.#isTouched) await this.settle();
    const entry = this.#agenda.at(-1);
    if (!entry || entry.at > until) return false;
    this.#agenda.pop();
    this.now = entry.at;
    this.doing = entry.label;
    if (entry.run() !== false) {
      this.events += 1;
      this.count(entry.label);
      this.trace?.(`event ${entry.label}`);
    }
    if (this.#isTouched) await this.settle();
    return true;
  }

  /** A process takes part in the present event, so promises may follow from it. */
  touch(): void {
    this.#isTouched = true;
  }

  /** Promises of a process wait for events alone, so one turn of the event loop runs everything that can follow. */
  async settle(): Promise<void> {
    this.#isTouched = false;
    await new Promise((resolve) => void setImmediate(resolve));
    this.onSettled();
    if (this.#broken) throw this.#broken.error;
  }

  /** Keeps an error that only a promise would catch; the next `settle` throws it. */
  broke(error: unknown): void {
    this.#broken ??= { error };
  }

  count(label: string): void {
    this.counts.set(label, (this.counts.get(label) ?? 0) + 1);
  }

  note(text: () => string): void {
    this.trace?.(text());
  }

  must(isRight: boolean, rule: Rule, message: () => string): asserts isRight {
    if (!isRight) this.fail(rule, message());
  }

  fail(rule: Rule, message: string): never {
    const doing = JSON.stringify(this.doing)?.slice(0, 400);
    const violation = new Violation(rule, `${message}; while ${doing}`, this.events, this.now - T0);
    // The shipped client catches what its listeners throw, so the violation is kept as well.
    this.broke(violation);
    throw violation;
  }
}
