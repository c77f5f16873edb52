import * as fc from "fast-check";
import { expect, it } from "vitest";
import { compile, matches, type Pattern } from "../../src/coordination/linear-pattern.ts";

const free = (): void => undefined;

/** Steps that a match takes. */
function stepsOf(source: string, text: string): number {
  let spent = 0;
  matches(compile(source), text, (steps) => (spent += steps));
  return spent;
}

const sign = fc.constantFrom(
  "a",
  "b",
  "\\w",
  "\\W",
  "\\d",
  ".",
  "[ab]",
  "[^a]",
  "\\.",
  "\\p{L}",
  "\\u0061",
  "é",
  "😀",
  " ",
);
const assertion = fc.constantFrom("^", "$", "\\b", "\\B");
const quantifier = fc.constantFrom("*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?", "{0}");
const { pattern } = fc.letrec<{ pattern: string; part: string }>((tie) => ({
  part: fc.oneof(
    { weight: 6, arbitrary: sign },
    { weight: 1, arbitrary: assertion },
    { weight: 3, arbitrary: fc.tuple(sign, quantifier).map(([one, times]) => one + times) },
    { weight: 3, arbitrary: fc.tuple(tie("pattern"), quantifier).map(([one, times]) => `(${one})${times}`) },
    { weight: 1, arbitrary: tie("pattern").map((one) => `(?:${one})`) },
    { weight: 1, arbitrary: tie("pattern").map((one) => `(?<n>${one})`) },
  ),
  pattern: fc
    .tuple(fc.array(tie("part"), { maxLength: 4 }), fc.option(tie("pattern"), { depthSize: "small" }))
    .map(([parts, other]) => parts.join("") + (other === null ? "" : `|${other}`)),
}));
/** Without signs of two units: between the two V8 finds a \\B, where the standard has none. */
const text = fc.string({ unit: fc.constantFrom("a", "b", "1", " ", ".", "é", "\n", "-"), maxLength: 8 });

it("[MS16] a pattern matches what JavaScript's own matches", () => {
  fc.assert(
    fc.property(pattern, text, (source, one) => {
      const compiled = compiledOf(source);
      fc.pre(compiled !== null);
      const [own, other] = [matches(compiled, one, free), new RegExp(source, "u").test(one)];
      expect([source, one, own]).toEqual([source, one, other]);
    }),
    { numRuns: 3_000 },
  );
});

/** null: it is too large, or names two groups alike. */
function compiledOf(source: string): Pattern | null {
  try {
    return compile(source);
  } catch {
    return null;
  }
}

const usual: [string, string, string][] = [
  ["^v\\d+\\.\\d+\\.\\d+(-[\\w.]+)?$", "v1.22.333-rc.1", "v1.22"],
  ["^(lint|test|deploy)$", "test", "tests"],
  ["^sha256:[0-9a-f]{64}$", `sha256:${"0f".repeat(32)}`, "sha256:0f"],
  ["^[^/]+/[^/]+$", "owner/name", "owner/name/more"],
  ["^https://", "https://a", "http://a"],
  ["\\bfix\\b", "a fix here", "a prefix"],
  ["^[\\w.+-]+@[\\w-]+(\\.[\\w-]+)+$", "ana@example.com", "ana@example"],
  ["^\\x61\\u{1F600}\\cJ[\\]\\-]$", "a😀\n]", "a😀\nx"],
];

it.each(usual)("[MS16] usual patterns are taken: %s", (source, good, bad) => {
  expect([matches(compile(source), good, free), matches(compile(source), bad, free)]).toEqual([true, false]);
});

it.each(["^(a+)+$", "^(\\w+\\s?)*$", "(a|a)*b", "(a*)*b", "a+a+a+a+b", "^(a|b|ab)*c$", "(x+x+)+y"])(
  "[MS16] the work for a text twice as long is at most about twice as much: %s",
  (source) => {
    const [one, two] = [stepsOf(source, `${"a".repeat(500)}!`), stepsOf(source, `${"a".repeat(1_000)}!`)];
    expect(two).toBeLessThan(2.2 * one);
    expect(two).toBeLessThan(100_000);
  },
);

it.each([
  ["(a)\\1", /refer back/],
  ["(?<n>a)\\k<n>", /refer back/],
  ["(?=a)b", /look ahead or behind/],
  ["(?!a)b", /look ahead or behind/],
  ["(?<=a)b", /look ahead or behind/],
  ["(?<!a)b", /look ahead or behind/],
  ["(a{100}){100}", /too large/],
  ["a{1001}", /too large/],
  ["(a{999999999}){999999999}", /too large/],
  ["[", /./],
])("[MS16] what is no pattern, or cannot be matched in linear time, is refused: %s", (source, why) => {
  expect(() => compile(source)).toThrow(why);
});

it("[MS16] a pattern has at most a thousand characters", () => {
  expect(() => compile("a".repeat(1_001))).toThrow(/at most 1000 characters/);
});
