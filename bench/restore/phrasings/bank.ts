import type { Random } from "../random.ts";
import { blindLanguageCount, blindOtherLanguages } from "./blind-other-languages.ts";
import { blind } from "./blind.ts";
import { english } from "./english.ts";
import { fifthLanguageCount, fifthOtherLanguages } from "./fifth-other-languages.ts";
import { fifth } from "./fifth.ts";
import { fourthLanguageCount, fourthOtherLanguages } from "./fourth-other-languages.ts";
import { fourth } from "./fourth.ts";
import { freshOtherLanguages } from "./fresh-other-languages.ts";
import { fresh } from "./fresh.ts";
import { languageCount, otherLanguages } from "./other-languages.ts";
import { thirdLanguageCount, thirdOtherLanguages } from "./third-other-languages.ts";
import { third } from "./third.ts";

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

/**
 * Which half of each list is used: `known` the first, `held-out` the second, `all` both. `fresh`, `blind`, `third`, `fourth` and
 * `fifth` are sets of their own, used whole.
 */
export const halves = ["known", "held-out", "all", "fresh", "blind", "third", "fourth", "fifth"] as const;
export type Half = (typeof halves)[number];

/** Sentences in English and in `languages` other languages, which take turns in each list. */
interface PhraseSet {
  readonly inEnglish: Bank;
  readonly inOthers: Bank;
  readonly languages: number;
}

const developed: PhraseSet = { inEnglish: english, inOthers: otherLanguages, languages: languageCount };
const setOf: Readonly<Record<Half, PhraseSet>> = {
  known: developed,
  "held-out": developed,
  all: developed,
  fresh: { inEnglish: fresh, inOthers: freshOtherLanguages, languages: languageCount },
  blind: { inEnglish: blind, inOthers: blindOtherLanguages, languages: blindLanguageCount },
  third: { inEnglish: third, inOthers: thirdOtherLanguages, languages: thirdLanguageCount },
  fourth: { inEnglish: fourth, inOthers: fourthOtherLanguages, languages: fourthLanguageCount },
  fifth: { inEnglish: fifth, inOthers: fifthOtherLanguages, languages: fifthLanguageCount },
};

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
  readonly #said = new Map<string, Phrase>();

  constructor(random: Random, half: Half, isForeign = false) {
    this.#random = random;
    this.#half = half;
    this.#language = isForeign ? random.between(0, setOf[half].languages - 1) : null;
  }

  say(phrase: Phrase, { a = "", b = "", c = "", n = 0 }: Slots = {}): string {
    const template = this.#random.pick(this.#templates(phrase));
    const text = template.replaceAll("$a", a).replaceAll("$b", b).replaceAll("$c", c).replaceAll("$n", String(n));
    this.#said.set(text, phrase);
    return text;
  }

  /** What a sentence says; null of one that nobody said. */
  meaningOf(text: string): Phrase | null {
    return this.#said.get(text) ?? null;
  }

  #templates(phrase: Phrase): readonly string[] {
    const { inEnglish, inOthers, languages } = setOf[this.#half];
    const own = this.#language === null ? undefined : inOthers[phrase];
    if (own) return halfOf(own, this.#half).filter((_, index) => index % languages === this.#language);
    return halfOf(inEnglish[phrase] ?? [], this.#half);
  }
}

function halfOf(list: readonly string[], half: Half): readonly string[] {
  if (half !== "known" && half !== "held-out") return list;
  const middle = list.length / 2;
  return half === "known" ? list.slice(0, middle) : list.slice(middle);
}
