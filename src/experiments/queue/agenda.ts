interface Entry {
  readonly at: number;
  readonly seq: number;
  readonly run: () => void;
}

/** Events by time, those of one instant in the order of their entry. A binary heap. */
export class Agenda {
  readonly #heap: Entry[] = [];
  #seq = 0;

  get nextAt(): number | null {
    return this.#heap[0]?.at ?? null;
  }

  add(at: number, run: () => void): void {
    const entry = { at, seq: (this.#seq += 1), run };
    let index = this.#heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.#heap[parent];
      if (!above || isBefore(above, entry)) break;
      this.#heap[index] = above;
      index = parent;
    }
    this.#heap[index] = entry;
  }

  runNext(): void {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (last && last !== first) this.#sink(last);
    first?.run();
  }

  #sink(entry: Entry): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      const [left, right] = [heap[2 * index + 1], heap[2 * index + 2]];
      const isRight = left !== undefined && right !== undefined && isBefore(right, left);
      const below = isRight ? right : left;
      if (!below || isBefore(entry, below)) break;
      heap[index] = below;
      index = 2 * index + (isRight ? 2 : 1);
    }
    heap[index] = entry;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq);
}
