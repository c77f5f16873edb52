/** Pure. `*` stands for any text; in linear time, as an expression with several `.*` is not. */
export function matchesWildcard(text: string, pattern: string): boolean {
  const [head = "", ...others] = pattern.split("*");
  const tail = others.pop();
  if (tail === undefined) return text === head;
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let from = head.length;
  const end = text.length - tail.length;
  return others.every((part) => {
    const at = text.indexOf(part, from);
    from = at + part.length;
    return at >= 0 && from <= end;
  });
}

/** Alternatives of one word of an entry. */
export interface WantedWord {
  readonly exact: ReadonlySet<string>;
  readonly wildcards: readonly string[];
}

/** Words of an entry of a list in lower case, `|` between the alternatives of one. */
export function wordsOf(entry: string): WantedWord[] {
  const words = entry.toLowerCase().trim().split(/\s+/);
  return words.map((word) => {
    const all = word.split("|");
    return { exact: new Set(all), wildcards: all.filter((one) => one.includes("*")) };
  });
}

export function matchesWord(word: string, { exact, wildcards }: WantedWord): boolean {
  return exact.has(word) || wildcards.some((pattern) => matchesWildcard(word, pattern));
}
