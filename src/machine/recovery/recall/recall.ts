import { o200kTokens } from "../../sessions/usage/tokens.ts";
import type { CheckedMachineInput } from "../../../contract/machine/operations.ts";
import type { Driver } from "../../../store/driver.ts";
import type { Learnt, LearntName } from "../learnt/learnt.ts";
import { PassageIndex } from "./passage-index.ts";
import { isFile, passagesOf, type AskedSession, type Passage } from "./passages.ts";

/** A question to a session; together its parts narrow. */
export type Question = Omit<CheckedMachineInput<"recovery.recall">, "session" | "folder">;

export interface Recalled {
  /** Best first, or in the order that the question asks for. */
  readonly passages: readonly Passage[];
  /** Number of all that fit the question, of which `passages` are a page. */
  readonly found: number;
  /**
   * Names that the asking chat does not have: those in the best of them first, then for words
   * those that the next calls of the session may use.
   */
  readonly names: readonly LearntName[];
}

/** Passages of one answer. */
export const perPage = 3;
/** Tokens of passages, characters with names; passages whose names are given, that words find. */
const most = { passageTokens: 1_000, chars: 5_600, forNames: 80, found: 1_000 };
/** Characters beside the words of a passage, a file and a name. */
const marks = { passage: 60, file: 9, name: 2 };
/** A question with words about a time asks for what was said so near to it. */
const nearMs = 3_600_000;
const shownParts = 2;
/** The names of the best passages count more: by 1 / (rank + this). */
const rankOffset = 10;

/** A session that can be asked, with those that it continues. */
export class Recall {
  readonly #session: string;
  readonly #passages: readonly Passage[];
  readonly #driver: Driver;
  /** Made for the first question with words. */
  #index: PassageIndex | null = null;
  readonly #names: ReadonlyMap<string, LearntName>;

  /** @param sessions the one that is asked, after those that it continues, oldest first */
  constructor(driver: Driver, sessions: readonly AskedSession[], { names }: Learnt) {
    this.#session = sessions.at(-1)?.session ?? "";
    this.#passages = passagesOf(sessions);
    this.#driver = driver;
    this.#names = new Map(names.map((one) => [one.name, one]));
  }

  get size(): number {
    return this.#passages.length;
  }

  /** @param known names that the asking chat has */
  ask(question: Question, known: ReadonlySet<string>): Recalled {
    const fitting = this.#fitting(question);
    const first = (question.page - 1) * perPage;
    const passages = withinTokens(fitting.slice(first, first + perPage));
    // Each page would say the same names again.
    const names = question.page === 1 ? this.#namesIn(fitting.slice(0, most.forNames), known) : [];
    const isBroad = question.page === 1 && question.file === undefined && question.prompt === undefined;
    const others = isBroad ? [...this.#names.values()].filter(({ name }) => !known.has(name)) : [];
    return { passages, found: fitting.length, names: withinChars(new Set([...names, ...others]), passages) };
  }

  /** Files and prompts of the newest passages, for a question that nothing fits. */
  get newest(): readonly Passage[] {
    return this.#passages.filter(({ file, who }) => file !== null || who === "user").slice(-perPage);
  }

  close(): void {
    this.#index?.close();
  }

  #fitting({ words = "", file, at, prompt }: Question): Passage[] {
    const prompts = this.#passages.at(-1)?.prompt ?? 0;
    const asked = prompt !== undefined && prompt < 0 ? prompts + 1 + prompt : prompt;
    const fits = (one: Passage): boolean =>
      (file === undefined || isFile(one.file, file)) &&
      (asked === undefined || (one.prompt === asked && one.session === this.#session)) &&
      (at === undefined || words === "" || (one.at !== null && Math.abs(one.at - at) <= nearMs));
    if (words !== "") {
      this.#index ??= new PassageIndex(this.#driver, this.#passages);
      const found = this.#index.find(words, most.found).flatMap((number) => this.#passages[number - 1] ?? []);
      return found.filter(fits);
    }
    const all = this.#passages.filter(fits);
    if (at !== undefined) return all.toSorted((one, two) => distance(one, at) - distance(two, at));
    return asked === undefined ? all.toReversed() : all;
  }

  #namesIn(passages: readonly Passage[], known: ReadonlySet<string>): LearntName[] {
    const worths = new Map<LearntName, number>();
    for (const [rank, { about, text }] of passages.entries())
      for (const [name] of `${about}\n${text}`.matchAll(/[A-Za-z_$][\w$]+/g)) {
        const learnt = known.has(name) ? undefined : this.#names.get(name);
        if (learnt) worths.set(learnt, (worths.get(learnt) ?? 0) + learnt.worth / (rank + rankOffset));
      }
    return [...worths].toSorted(([, one], [, two]) => two - one).map(([name]) => name);
  }
}

function withinChars(names: ReadonlySet<LearntName>, beside: readonly Passage[]): LearntName[] {
  const files = new Set<string | null>([null]);
  let chars = beside.reduce((sum, { about, text }) => sum + about.length + text.length + marks.passage, 0);
  return [...names].filter(({ name, file }) => {
    chars += name.length + marks.name + (files.has(file) ? 0 : shortPath(file ?? "").length + marks.file);
    files.add(file);
    return chars <= most.chars;
  });
}

/** The last parts of a path suffice to ask for its file. */
export function shortPath(path: string): string {
  return path.split("/").slice(-shownParts).join("/");
}

function distance({ at: of }: Passage, at: number): number {
  return of === null ? Infinity : Math.abs(of - at);
}

/** The first one always. */
function withinTokens(passages: readonly Passage[]): Passage[] {
  let tokens = 0;
  return passages.filter(({ about, text }, index) => {
    tokens += o200kTokens(`${about}\n${text}`);
    return index === 0 || tokens <= most.passageTokens;
  });
}
