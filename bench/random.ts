const syllables =
  "bro kla zi vo qua ne tru mox pel gri sho dax fu lym wex jo ith ust ba ru ken dol mi fap sna tev".split(" ");

/** A seeded source of choices and of words that stand in no dictionary. Two sources with one seed make the same choices. */
export class Random {
  #state: number;
  readonly #words: string[] = [];

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to but not including 1 (mulberry32). */
  share(): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.share() * (to - from + 1));
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.share() * list.length)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  isLucky(share: number): boolean {
    return this.share() < share;
  }

  /** An invented word of three or four syllables; no word of one source is a part of another. */
  word(): string {
    for (;;) {
      const length = this.between(3, 4);
      const word = Array.from({ length }, () => this.pick(syllables)).join("");
      if (this.#words.some((known) => known.includes(word) || word.includes(known))) continue;
      this.#words.push(word);
      return word;
    }
  }
}
