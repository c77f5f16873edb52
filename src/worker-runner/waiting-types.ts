/** [CX29] The types of a worker's tasks, without those of which none can be done for a while. */
export class WaitingTypes {
  readonly #types: readonly string[];
  readonly #reasons = new Map<string, string>();

  constructor(types: Iterable<string>) {
    this.#types = [...types];
  }

  get open(): string[] {
    return this.#types.filter((type) => !this.#reasons.has(type));
  }

  /** Null while a task of some type can be done. */
  get reason(): string | null {
    const [reason = null] = this.#reasons.values();
    return this.open.length > 0 ? null : reason;
  }

  /** @returns whether it does not wait already */
  add(type: string, reason: string): boolean {
    const isNew = !this.#reasons.has(type);
    if (isNew) this.#reasons.set(type, reason);
    return isNew;
  }

  remove(type: string): void {
    this.#reasons.delete(type);
  }
}
