import { countUntil } from "../shared/count-until.ts";

interface Unescaped {
  readonly text: string;
  /** Where the character at `index` is in the text as given. */
  readonly given: (index: number) => number;
  /** How many characters it was written with. */
  readonly charsAt: (index: number) => number;
  readonly isChanged: (from: number, to: number) => boolean;
}

/** Quotes and line ends in a JSON string, at any depth. */
const escape = /(?<!\\)\\+(["'`nrt])/g;
const controls: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/** Code in a JSON string as it was before. Null: nothing is escaped. */
export function unescape(text: string): Unescaped | null {
  const parts: string[] = [];
  const ends: number[] = [];
  const shifts: number[] = [];
  let copiedUntil = 0;
  let shift = 0;
  for (const { 0: sequence, 1: char = "", index } of text.matchAll(escape)) {
    parts.push(text.slice(copiedUntil, index), controls[char] ?? char);
    copiedUntil = index + sequence.length;
    shift += sequence.length - 1;
    ends.push(copiedUntil - shift);
    shifts.push(shift);
  }
  if (shift === 0) return null;
  parts.push(text.slice(copiedUntil));
  const given = (index: number): number => index + (shifts[countUntil(ends, index, Number) - 1] ?? 0);
  return {
    text: parts.join(""),
    given,
    charsAt: (index) => given(index + 1) - given(index),
    isChanged: (from, to) => given(to) - given(from) > to - from,
  };
}
