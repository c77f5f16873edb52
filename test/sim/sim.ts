import { seededRandom } from "#harness/clock/seeded-random.ts";

export class Rng {
  /** At least 0, below 1. */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = seededRandom(seed);
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(share: number): boolean {
    return share > 0 && this.next() < share;
  }

  draw(weights: readonly number[]): number {
    let left = this.below(weights.reduce((sum, weight) => sum + weight, 0));
    return weights.findIndex((weight) => (left -= weight) < 0);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }
}

/**
 * Resources of leases as sets of atoms, of which at most one process may trust each. Two resources exclude each
 * other when they share an atom, which this list shows without the rules of the engine.
 */

const plain = ["build", "deploy", "port:8080"];
export const elections = ["main", "review"];
/** The files called `new` stand for any that might be created. */
const files = "p/a/x p/a/y p/a/new p/a/b/x p/a/b/new p/a/b/c/new p/d/x p/d/new p/d/e/new p/c p/new q/x q/new".split(
  " ",
);
const requested = "p/a/x p/a/y p/a/b/x p/d/x p/c q/x p/* p/** p/a/* p/a/** p/a/b/* p/a/b/** p/d/* p/d/** q/* q/**";

export const atoms: readonly string[] = [
  ...plain,
  ...elections.map((name) => `leader:${name}`),
  ...files.map((path) => `file:${path}`),
];

export const resources: readonly string[] = [...plain, ...requested.split(" ").map((path) => `file:${path}`)];

const masks = new Map<string, number>();
const indexLists = new Map<number, readonly number[]>();

export function maskOf(resource: string): number {
  const known = masks.get(resource);
  if (known !== undefined) return known;
  const shape = new RegExp(`^${resource.replace(/\*\*$/, ".+").replace(/\*$/, "[^/]+")}$`);
  const mask = atoms.reduce((bits, atom, index) => (shape.test(atom) ? bits | (1 << index) : bits), 0);
  if (mask === 0) throw new Error(`${resource} has no atom`);
  masks.set(resource, mask);
  return mask;
}

export function indexesOf(mask: number): readonly number[] {
  let indexes = indexLists.get(mask);
  if (!indexes) indexLists.set(mask, (indexes = atoms.flatMap((_, index) => (mask & (1 << index) ? [index] : []))));
  return indexes;
}

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
  | "watch"
  | "messages"
  | "due"
  | "task"
  | "one-claim"
  | "turn"
  | "restore"
  | "requests"
  | "access"
  | "client"
  | "throws";

export class Violation extends Error {
  override readonly name = "Violation";
  readonly event: number;
  readonly atMs: number;

  constructor(rule: Rule, message: string, event: number, atMs: number) {
    super(`${rule}: ${message}`);
    this.event = event;
    this.atMs = atMs;
  }
}

/** True time, chance, and the order of events. */
export class Sim {
  now = T0;
  events = 0;
  readonly rng: Rng;
  readonly counts = new Map<string, number>();
  /** The present event or request, for the message of a violation. */
  doing: unknown = null;
  trace: ((line: string) => void) | null = null;
  /** Called when everything has followed that follows from an event. */
  onSettled: () => void = () => undefined;

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

  setHostClockBack(byMs: number): void {
    this.#hostFloor = this.hostNow;
    this.#hostShiftMs -= byMs;
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
