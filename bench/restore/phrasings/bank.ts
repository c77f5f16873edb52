import type { Random } from "../random.ts";
import { english } from "./english.ts";
import { freshOtherLanguages } from "./fresh-other-languages.ts";
import { fresh } from "./fresh.ts";
import { languageCount, otherLanguages } from "./other-languages.ts";

export type Phrase =
  | "goal"
  | "order"
  | "ban"
  | "decision"
  | "ownDecision"
  | "reversal"
  | "next"
  | "done"
  | "fixed"
  | "error"
  | "name"
  | "question"
  | "ack";

/** Templates by what they say. */
export type Bank = Partial<Record<Phrase, readonly string[]>>;

/** Which half of each list is used: `known` the first, `held-out` the second, `all` both. `fresh` is a set of its own, used whole. */
export const halves = ["known", "held-out", "all", "fresh"] as const;
export type Half = (typeof halves)[number];

export interface Slots {
  readonly a?: string;
  readonly b?: string;
  readonly c?: string;
  readonly n?: number;
}

/** Says things in the words of one half of the bank, in English or in one other language. */
export class Phrases {
  readonly #random: Random;
  readonly #half: Half;
  /** Null: English. */
  readonly #language: number | null;

  constructor(random: Random, half: Half, isForeign = false) {
    this.#random = random;
    this.#half = half;
    this.#language = isForeign ? random.between(0, languageCount - 1) : null;
  }

  say(phrase: Phrase, { a = "", b = "", c = "", n = 0 }: Slots = {}): string {
    const template = this.#random.pick(this.#templates(phrase));
    return template.replaceAll("$a", a).replaceAll("$b", b).replaceAll("$c", c).replaceAll("$n", String(n));
  }

  #templates(phrase: Phrase): readonly string[] {
    const [inEnglish, inOthers] = this.#half === "fresh" ? [fresh, freshOtherLanguages] : [english, otherLanguages];
    const own = this.#language === null ? undefined : inOthers[phrase];
    if (own) return halfOf(own, this.#half).filter((_, index) => index % languageCount === this.#language);
    return halfOf(inEnglish[phrase] ?? [], this.#half);
  }
}

function halfOf(list: readonly string[], half: Half): readonly string[] {
  if (half === "all" || half === "fresh") return list;
  const middle = list.length / 2;
  return half === "known" ? list.slice(0, middle) : list.slice(middle);
}
