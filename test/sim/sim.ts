import { Rng } from "./rng.ts";

/** What is going to happen. */
interface Entry {
  readonly at: number;
  /** For the counts and the trace. */
  readonly label: string;
  /** False: it came to nothing, and is no event. */
  readonly run: () => boolean | void;
}

/** The earliest last; of the same instant what was entered first is behind what was entered later. */
class Agenda {
  readonly #entries: Entry[] = [];

  add(entry: Entry): void {
    const entries = this.#entries;
    let [low, high] = [0, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((entries[middle] as Entry).at > entry.at) low = middle + 1;
      else high = middle;
    }
    entries.splice(low, 0, entry);
  }

  /** The next one that is due. */
  take(until: number): Entry | null {
    const next = this.#entries.at(-1);
    if (!next || next.at > until) return null;
    this.#entries.pop();
    return next;
  }
}

/** The true time at which every run begins: epochs follow the clock from 2026 on. */
export const T0 = 1_800_000_000_000;

/** A rule that did not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly rule: Rule;
  /** How many events had happened. */
  readonly event: number;
  readonly atMs: number;

  constructor(rule: Rule, message: string, event: number, atMs: number) {
    super(`${rule}: ${message}`);
    this.rule = rule;
    this.event = event;
    this.atMs = atMs;
  }
}

/** What is looked at after every step. */
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
  | "queue"
  | "restore"
  | "requests"
  | "list"
  | "mirror"
  | "client"
  | "throws";

/** True time, chance, and the order of events. Knows nothing of what happens. */
export class Sim {
  now = T0;
  events = 0;
  readonly rng: Rng;
  /** How often what happened. */
  readonly counts = new Map<string, number>();
  /** What is being done, for the message of a violation. */
  doing: unknown = null;
  /** Set to see each event. */
  trace: ((line: string) => void) | null = null;

  /** Called when all has followed that follows from an event. */
  onSettled: () => void = () => undefined;

  readonly #agenda = new Agenda();
  #isTouched = false;
  #broken: { readonly error: unknown } | null = null;
  #hostShiftMs = 0;
  #hostFloor = 0;

  constructor(seed: number) {
    this.rng = new Rng(seed);
  }

  /** The clock of the host. As under workerd it stands still, when it is set back, until it has caught up. */
  get hostNow(): number {
    return Math.max(this.#hostFloor, this.now + this.#hostShiftMs);
  }

  setHostClock(byMs: number): void {
    this.#hostFloor = this.hostNow;
    this.#hostShiftMs += byMs;
  }

  later(ms: number, label: string, run: () => boolean | void): void {
    this.#agenda.add({ at: this.now + Math.max(0, Math.round(ms)), label, run });
  }

  /** The next event, with all that follows from it at once; false: there is none before `until`. */
  async step(until = Infinity): Promise<boolean> {
    if (this.#isTouched) await this.settle();
    const entry = this.#agenda.take(until);
    if (!entry) return false;
    this.now = entry.at;
    this.doing = entry.label;
    const isEvent = entry.run() !== false;
    if (isEvent) {
      this.events += 1;
      this.count(entry.label);
      this.trace?.(`event ${entry.label}`);
    }
    if (this.#isTouched) await this.settle();
    return true;
  }

  /** A process takes part in what happens now: what it does may follow from promises. */
  touch(): void {
    this.#isTouched = true;
  }

  /** Lets all follow that follows at once, and nothing else: no promise of the simulation waits for anything but its events. */
  async settle(): Promise<void> {
    this.#isTouched = false;
    await new Promise((resolve) => void setImmediate(resolve));
    this.onSettled();
    if (this.#broken) throw this.#broken.error;
  }

  /** What was thrown where nobody but a promise catches it. */
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
    // The client that is shipped catches what its listeners throw.
    this.broke(violation);
    throw violation;
  }
}
