import type { Sim } from "../sim.ts";
import { keepMap, type PutBack } from "./keep.ts";

const dayMs = 86_400_000;

/** First answers to requests with an id, which the coordinator knows for a day. */
export class Answered<Answer> {
  readonly #sim: Sim;
  readonly #first = new Map<string, { readonly answer: Answer; readonly at: number }>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** @param id null: a request without an id is another one each time */
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
