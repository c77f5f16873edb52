import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What a user or an operator relies on, as docs/laws.md has it, with the tests that fail when it does. */

export interface Proof {
  /** A test's title without a number, or an unambiguous start of it, as the file has it. */
  readonly title: string;
  /** From the root of the repository. */
  readonly file: string;
}

export interface Law {
  readonly number: number;
  readonly sentence: string;
  readonly proofs: readonly Proof[];
}

const root = join(import.meta.dirname, "..");

/** A law begins with its number; each indented `proof:` line below belongs to it. */
export function readLaws(): Law[] {
  const text = readFileSync(join(root, "docs", "laws.md"), "utf8");
  const laws: (Law & { proofs: Proof[] })[] = [];
  for (const line of text.split("\n")) {
    const [, number, sentence] = /^(\d+)\. +(.+)$/.exec(line) ?? [];
    if (number !== undefined && sentence !== undefined) laws.push({ number: Number(number), sentence, proofs: [] });
    const [, title, file] = /^ +proof: \[(.+)\]\(\.\.\/(\S+)\)$/.exec(line) ?? [];
    if (title !== undefined && file !== undefined) laws.at(-1)?.proofs.push({ title: unescaped(title), file });
  }
  return laws;
}

/** Characters that Markdown would take as its own have a backslash in front. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([\\`*_{}[\]<>()#+\-.!|$])/g, "$1");
}
