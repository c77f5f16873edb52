/** Pure: whether one text says what another one says, found by comparing strings. */

/** Words in a row that make a passage: shorter ones stand in many texts by chance. */
const passageWords = 4;
/** Share of a text's passages that another one must hold to say the same. */
const keptShare = 0.5;

/** A character of a script without spaces between its words. */
export const unspaced = String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]`;
const word = new RegExp(String.raw`${unspaced}|[\p{L}\p{N}_]+`, "gu");

/** In lower case; each character of a script without spaces is a word. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(word) ?? [];
}

function passagesOf(words: readonly string[]): string[] {
  const last = Math.max(0, words.length - passageWords);
  return words.slice(0, last + 1).map((_, at) => words.slice(at, at + passageWords).join(" "));
}

/** Answers whether another text stands in one, mostly word for word. */
export class Passages {
  readonly #passages: ReadonlySet<string>;
  readonly #text: string;

  constructor(text: string) {
    const words = wordsOf(text);
    this.#text = ` ${words.join(" ")} `;
    this.#passages = new Set(passagesOf(words));
  }

  has(text: string): boolean {
    const words = wordsOf(text);
    if (words.length === 0) return true;
    if (words.length < passageWords) return this.#text.includes(` ${words.join(" ")} `);
    const passages = passagesOf(words);
    const kept = passages.filter((one) => this.#passages.has(one)).length;
    return kept >= passages.length * keptShare;
  }
}
