import * as fc from "fast-check";
import { expect, it } from "vitest";
import { patternSteps } from "#src/coordination/messages/pattern-cost.ts";
import { processorMs } from "#harness/machine/processor-time.ts";

/** Quantifiers, groups and alternatives in every order, many of them refused. */
const sign = fc.constantFrom("a", "b", "\\w", "[ab]", ".", "\\x61", "é", "$", "\\b");
const quantifier = fc.constantFrom("*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "{0}", "{3,9}");
const { pattern } = fc.letrec<{ pattern: string; part: string }>((tie) => ({
  part: fc.oneof(
    { weight: 4, arbitrary: sign },
    {
      weight: 4,
      arbitrary: fc.tuple(fc.constantFrom("a", "\\w", "[ab]", "."), quantifier).map((both) => both.join("")),
    },
    { weight: 2, arbitrary: fc.tuple(tie("pattern"), quantifier).map(([one, times]) => `(${one})${times}`) },
    { weight: 1, arbitrary: tie("pattern").map((one) => `(?:${one})`) },
  ),
  pattern: fc
    .tuple(fc.array(tie("part"), { maxLength: 5 }), fc.option(tie("pattern"), { depthSize: "small" }))
    .map(([parts, other]) => parts.join("") + (other === null ? "" : `|${other}`)),
}));

it("[MS26] an accepted pattern takes no longer to match than its steps allow @night", () => {
  fc.assert(
    fc.property(pattern, fc.boolean(), fc.constantFrom("a", "ab", "aab "), (source, isAnchored, text) => {
      const whole = isAnchored ? `^(?:${source})!` : `${source}!`;
      const steps = stepsOf(whole);
      fc.pre(steps !== null);
      const long = text.repeat(64).slice(0, 64);
      // A step is a microsecond; ten times as much is for slow machines.
      const ms = processorMs(() => void new RegExp(whole, "u").test(long));
      expect(ms, whole).toBeLessThan(5 + (steps ?? 0) / 100);
    }),
    { numRuns: 2_000, seed: 1 },
  );
});

function stepsOf(source: string): number | null {
  try {
    return patternSteps(source)(64);
  } catch {
    return null;
  }
}

it.each([
  "^v\\d{1,5}\\.\\d{1,5}\\.\\d{1,5}(-[\\w.]{1,20})?$",
  "^(lint|test|deploy)$",
  "^sha256:[0-9a-f]{64}$",
  "^[^/]+/[^/]+$",
  "^https?://[\\w.-]+(/.*)?$",
  "\\bfix\\b",
  "^[\\w.+-]+@[\\w.-]+$",
  "^[a-z][a-z0-9-]{0,62}$",
  "^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$",
  "^\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2}(:\\d{2})?Z?)?$",
  "(?<name>[A-Z]+)-\\d+",
  "^\\p{Lu}[\\p{L} ]*$",
  "^\\x61\\u{1F600}\\cJ[\\]\\-(+*]$",
])("[MS25] [MS26] usual patterns are accepted, and a short text costs little: %s", (source) => {
  expect(patternSteps(source)(30)).toBeLessThan(5_000);
});

function growth(source: string): number {
  return Math.round(patternSteps(source)(20_000) / patternSteps(source)(10_000));
}

it("[MS26] the cost of a text grows with its length as the pattern's repetitions say", () => {
  expect(["^abc$", "^a*$", "a*", "^a*b*$", "a*b*"].map(growth)).toEqual([1, 2, 4, 4, 8]);
});

it.each([
  ["(a)\\1", /backreference/],
  ["(?<n>a)\\k<n>", /backreference/],
  ["(?=a)b", /lookahead or lookbehind/],
  ["(?!a)b", /lookahead or lookbehind/],
  ["(?<=a)b", /lookahead or lookbehind/],
  ["(?<!a)b", /lookahead or lookbehind/],
  ["(?i:a)b", /flags/],
  ["^(a+)+$", /before \+ .*character class/],
  ["^(\\w+\\s?)*$", /before \*/],
  ["(a|a)*b", /before \*/],
  ["(a*)*b", /before \*/],
  ["^(a|b|ab){1,}c$", /before \{1,\}/],
  ["^(a|a){40}$", /too many/],
  ["^(a?){40}$", /too many/],
  ["^(?:(?:a|a){1,9}){9}$", /too many/],
  [`^${"a?".repeat(40)}$`, /too many/],
  [`^${"a{0,9}".repeat(9)}$`, /too many/],
  ["a+a+a+a+b", /too many/],
  ["^a*a*a*a*a*$", /too many/],
  ["(a{999999999}){999999999}", /too many/],
  ["a".repeat(1_001), /more than 1000 characters/],
  ["[", /./],
])("[MS25] [MS26] an invalid pattern, or one that may take exponentially long, is refused: %s", (source, why) => {
  expect(() => patternSteps(source)).toThrow(why);
});
