import * as fc from "fast-check";
import { expect, it } from "vitest";
import { diffLines } from "#src/shared/line-diff.ts";

const shown = (before: string, after: string): string =>
  diffLines(before, after)
    .lines.map(({ sign, text }) => sign + text)
    .join("\n");
const signsOf = (before: string, after: string): string =>
  diffLines(before, after)
    .lines.map(({ sign }) => sign)
    .join("")
    .replaceAll(" ", "");
const numbered = (count: number, odd = -1): string =>
  Array.from({ length: count }, (_, n) => (n === odd ? "odd" : `line ${n}`)).join("\n");

it("lines that differ stand where they do, the removed ones first", () => {
  expect(shown("a\nblue\nb", "a\nred\nb\nc")).toBe(" a\n-blue\n+red\n b\n+c");
  expect(shown("", "a\nb")).toBe("+a\n+b");
  expect(shown("a", "")).toBe("-a");
  expect(shown("a\nb\na", "a\na\nb")).toBe(" a\n-b\n a\n+b");
});

it("both texts can be read from the lines, and no fewer lines could differ than a search of all ways finds", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 7 }).map((lines) => lines.join("\n"));
  fc.assert(
    fc.property(text, text, (before, after) => {
      const { lines, isCompared } = diffLines(before, after);
      const without = (sign: string): string =>
        lines.flatMap((line) => (line.sign === sign ? [] : [line.text])).join("\n");
      expect([without("+"), without("-"), isCompared]).toEqual([before, after, true]);
      expect(lines.filter(({ sign }) => sign !== " ").length).toBe(leastEdit(linesOf(before), linesOf(after)));
    }),
  );
});

function linesOf(text: string): string[] {
  return text === "" ? [] : text.split("\n");
}

function leastEdit([a, ...before]: readonly string[], [b, ...after]: readonly string[]): number {
  if (a === undefined) return b === undefined ? 0 : 1 + after.length;
  if (b === undefined) return 1 + before.length;
  if (a === b) return leastEdit(before, after);
  return 1 + Math.min(leastEdit(before, [b, ...after]), leastEdit([a, ...before], after));
}

it("few changes in many lines are few; texts that differ in thousands of lines are all removed and all added, and not compared", () => {
  expect(signsOf(numbered(50_000, 9), numbered(50_000, 40_000))).toBe("-+-+");
  const renamed = numbered(3_000).replaceAll("line", "row");
  expect(signsOf(numbered(3_000), renamed)).toBe("-".repeat(3_000) + "+".repeat(3_000));
  expect(diffLines(numbered(3_000), renamed).isCompared).toBe(false);
});

it("a text of thousands of lines that is new, or put into another one, is compared", () => {
  for (const [before, after] of [
    ["", numbered(3_000)],
    ["first\nlast", `first\n${numbered(3_000)}\nlast`],
  ] as const) {
    expect([diffLines(before, after).isCompared, signsOf(before, after)]).toEqual([true, "+".repeat(3_000)]);
    expect([diffLines(after, before).isCompared, signsOf(after, before)]).toEqual([true, "-".repeat(3_000)]);
  }
});
