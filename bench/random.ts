/** Realistic, unique content: sentences, paths and code with some repetition, as chats have. Seeded, so each run has the same. */
const words =
  "parser token stream module session checkpoint recovery branch commit failing assertion because the a of to and in function returns value when index buffer schema migration latency retry handler request response cache lock worker queue task message state update test coverage report file path line error stack trace".split(
    " ",
  );

export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // Numerical Recipes' linear congruential generator; quality does not matter here.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function sentence(random: () => number): string {
  const count = 8 + Math.floor(random() * 14);
  const picked = Array.from({ length: count }, () => words[Math.floor(random() * words.length)]);
  const id = Math.floor(random() * 1e9).toString(36);
  return random() < 0.3
    ? `src/${picked[0]}/${picked[1]}-${id}.ts:${Math.floor(random() * 900)}: const ${picked[2]} = await ${picked[3]}("${id}");`
    : `${picked.join(" ")} ${id}.`;
}

/** Lines of at most 1,500 characters, together about `bytes`. */
export function lines(bytes: number, random: () => number): string[] {
  const result: string[] = [];
  for (let left = bytes; left > 0;) {
    let line = "";
    while (line.length < Math.min(left, 1_200)) line += `${sentence(random)} `;
    result.push(line.slice(0, Math.min(left, 1_500)));
    left -= result.at(-1)?.length ?? left;
  }
  return result;
}

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
