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
export class Agenda {
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
