import type { Sim } from "../sim.ts";

/** Restores a part of the oracle as it was when it was kept. */
export type PutBack = () => void;

/** @param copy for values that are mutable */
export function keepMap<Key, Value>(map: Map<Key, Value>, copy: (value: Value) => Value = (value) => value): PutBack {
  const kept = [...map].map(([key, value]) => [key, copy(value)] as const);
  return () => {
    map.clear();
    for (const [key, value] of kept) map.set(key, copy(value));
  };
}

export function all(...parts: readonly PutBack[]): PutBack {
  return () => {
    for (const putBack of parts) putBack();
  };
}

const dayMs = 86_400_000;

/** First answers to requests with an id, which the coordinator stores for a day. */
export class Answered<Answer> {
  readonly #sim: Sim;
  readonly #first = new Map<string, { readonly answer: Answer; readonly at: number }>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** @param id null: the request has none, so it is never a repeat */
  get(id: string | null): Answer | undefined {
    const first = id === null ? undefined : this.#first.get(id);
    return first && !this.#isOver(first.at) ? first.answer : undefined;
  }

  add(id: string | null, answer: Answer): void {
    if (id === null) return;
    for (const [old, { at }] of this.#first) {
      if (!this.#isOver(at)) break;
      this.#first.delete(old);
    }
    this.#first.set(id, { answer, at: this.#sim.hostNow });
  }

  keep(): PutBack {
    return keepMap(this.#first);
  }

  #isOver(at: number): boolean {
    return at <= this.#sim.hostNow - dayMs;
  }
}
