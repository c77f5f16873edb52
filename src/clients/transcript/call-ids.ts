/** Ids of the calls in a row, and of those whose results it holds; null: it names none. */
export interface CallIds {
  readonly calls: readonly (string | null)[];
  readonly results: readonly (string | null)[];
}

/**
 * Finds results whose calls are nowhere in a file: the rows with these are missing. A client that
 * leaves out a call's id may make one up for its result, so such a file proves nothing missing.
 */
export class CallsOfResults<T> {
  readonly #calls = new Set<string>();
  readonly #results = new Map<string, T>();
  #isUnsure = false;

  add({ calls, results }: CallIds, at: T): void {
    for (const id of calls) {
      if (id === null) this.#isUnsure = true;
      else this.#calls.add(id);
    }
    for (const id of results)
      if (id !== null && !this.#calls.has(id) && !this.#results.has(id)) this.#results.set(id, at);
  }

  /** For each call that is missing, the row with its first result. */
  get missing(): T[] {
    if (this.#isUnsure) return [];
    return [...this.#results].flatMap(([id, at]) => (this.#calls.has(id) ? [] : [at]));
  }
}
