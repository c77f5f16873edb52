import { inMemory, type Connection, type Driver } from "../../../store/driver.ts";
import { unspaced } from "../../sessions/text/passages.ts";
import type { Passage } from "./passages.ts";

/** Search by words over the passages of one session, in memory: the text stays in the passages. */
export class PassageIndex {
  readonly #connection: Connection;

  constructor(driver: Driver, passages: readonly Passage[]) {
    const db = driver({ path: inMemory, readOnly: false, busyMs: 0 });
    this.#connection = db;
    // Without positions (`detail = none`) bm25 gives each row of a contentless table the same rank.
    db.script(`CREATE VIRTUAL TABLE passages USING fts5(text, content = '', tokenize = "unicode61 tokenchars '_$'")`);
    db.script("BEGIN");
    for (const { number, about, text } of passages)
      db.run("INSERT INTO passages (rowid, text) VALUES (?, ?)", number, searchable(`${about}\n${text}`));
    db.script("COMMIT");
  }

  /** Numbers of passages that have any of the words, best first. */
  find(words: string, most: number): number[] {
    const terms = termsOf(words);
    if (terms.length === 0) return [];
    const query = terms.map((term) => `"${term}"`).join(" OR ");
    return this.#connection
      .all<{ rowid: number }>("SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?", query, most)
      .map(({ rowid }) => rowid);
  }

  close(): void {
    this.#connection.close();
  }
}

const maxTerms = 64;
const word = /[\p{L}\p{N}_$]+/gu;
/** Pairs of characters stand for the words. */
const unspacedRun = new RegExp(`${unspaced}+`, "gu");
const inner = /[a-z\d](?=[A-Z])|_/;

/** The words of a text, with the parts of those that are several words in one. */
function searchable(text: string): string {
  const parts = [...text.matchAll(word)].flatMap(([one]) => partsOf(one));
  return `${text.replaceAll(unspacedRun, (run) => ` ${pairsIn(run).join(" ")} `)} ${parts.join(" ")}`;
}

/** Each once, in the order of the text. */
function termsOf(words: string): string[] {
  const terms = Array.from(words.matchAll(word), ([one]) => one).flatMap((one) => {
    const runs = Array.from(one.matchAll(unspacedRun), ([run]) => pairsIn(run)).flat();
    return runs.length > 0 ? runs : [one].concat(partsOf(one));
  });
  return [...new Set(terms.map((one) => one.toLowerCase()))].filter((one) => one.length > 1).slice(0, maxTerms);
}

function partsOf(name: string): string[] {
  return inner.test(name) ? name.split(/(?<=[a-z\d])(?=[A-Z])|_/).filter((part) => part.length > 1) : [];
}

function pairsIn(run: string): string[] {
  const signs = Array.from(run);
  return signs.length < 2 ? signs : signs.slice(1).map((sign, at) => `${signs[at]}${sign}`);
}
