import { Rng } from "./rng.ts";

/** What is going to happen, the earliest first; of the same instant what was entered first. */
export interface Entry {
  readonly at: number;
  readonly seq: number;
  /** For the counts and the trace. */
  readonly label: string;
  /** False: it came to nothing, and is no event. */
  readonly run: () => boolean | void;
}

/** A binary heap. */
class Agenda {
  readonly #heap: Entry[] = [];
  #seq = 0;

  get size(): number {
    return this.#heap.length;
  }

  add(at: number, label: string, run: () => boolean | void): void {
    const entry: Entry = { at, seq: (this.#seq += 1), label, run };
    const heap = this.#heap;
    let place = heap.length;
    heap.push(entry);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const other = heap[above] as Entry;
      if (isBefore(other, entry)) break;
      heap[place] = other;
      place = above;
    }
    heap[place] = entry;
  }

  nextAt(): number | null {
    return this.#heap[0]?.at ?? null;
  }

  take(): Entry | null {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length > 0) this.#sink(last);
    return first;
  }

  #sink(entry: Entry): void {
    const heap = this.#heap;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Entry, heap[below] as Entry)) below += 1;
      const other = heap[below] as Entry;
      if (isBefore(entry, other)) break;
      heap[place] = other;
      place = below;
    }
    heap[place] = entry;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq);
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
  readonly agenda = new Agenda();
  readonly rng: Rng;
  /** How often what happened. */
  readonly counts = new Map<string, number>();
  /** What is being done, for the message of a violation. */
  doing: unknown = null;
  /** Set to see each event. */
  trace: ((line: string) => void) | null = null;

  /** Called when all has followed that follows from an event. */
  onSettled: () => void = () => undefined;

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
    this.agenda.add(this.now + Math.max(0, Math.round(ms)), label, run);
  }

  /** The next event, with all that follows from it at once; false: there is none before `until`. */
  async step(until = Infinity): Promise<boolean> {
    if (this.#isTouched) await this.settle();
    const at = this.agenda.nextAt();
    if (at === null || at > until) return false;
    const entry = this.agenda.take();
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
