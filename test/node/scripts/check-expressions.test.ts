import { expect, it } from "vitest";
import { expressionsOf, faultOf, type Expression } from "../../../scripts/check-expressions.ts";

function expression(source: string, flags = "", bound: number | null = null): Expression {
  return { path: "src/a.ts", line: 1, source, flags, bound };
}

it.each([/^(?:\w+=(?:"[^"]*"|'[^']*'|[^\s"']*)+ )+/, /^(?:a|嗯+|的)+$/, /^(?:s|\d{1,3}|old)*$/, /^(\w+\s?)*$/])(
  "an exponential expression is a fault, bounded or not: %s @night",
  ({ source, flags }) => {
    expect(faultOf(expression(source, flags))).toMatch(/time/);
    expect(faultOf(expression(source, flags, 400))).toMatch(/time|takes over/);
  },
);

it.each([/\/+$/, /(\d+)\.(\d+)/, /"auths"[^]*?"auth"/, /\s*\n\s*/, /from\s+([^,]{1,80}?)\s+to/, /^(.*)x(.*)y(.*)z$/])(
  "an expression of more than linear time is a fault unless what it reads is short: %s @night",
  ({ source, flags }) => {
    expect(faultOf(expression(source, flags))).toContain("more than linear time");
    expect(faultOf(expression(source, flags, 200))).toBeNull();
    expect(faultOf(expression(source, flags, 1_000_000))).toContain("reads up to 1000000 characters");
  },
);

it.each([/^\s+/, /(?<!\/)\/+$/, /^(?:\w+=(?:"[^"]*"|[^\s"])* )+/, /\b(?:one|two) \w+/iu, /"(?:\\.|[^"\\])*"?/])(
  "a linear expression is none: %s",
  ({ source, flags }) => {
    expect(faultOf(expression(source, flags))).toBeNull();
  },
);

it("the check sees literal and composed expressions, and what bounds them @night", async () => {
  const { expressions, faults } = await expressionsOf();
  expect(faults).toEqual([]);
  const inFile = (path: string): Expression[] => expressions.filter((one) => one.path === `src/${path}`);
  expect(inFile("machine/text/excerpt.ts").map(({ source }) => source)).toContain(
    "\\n+|(?<=[.!?…][\"')\\]]?)(?<!(?:^|\\n)[ \\t]{0,8}\\d{1,3}\\.)\\s+|(?<=[。！？])",
  );
  const names = inFile("snapshots/secret-names.ts");
  expect(names.some(({ source }) => source.startsWith("^(passwords?|"))).toBe(true);
  expect(names.every(({ bound }) => bound === 255)).toBe(true);
  expect(inFile("redaction/token-formats.ts").some(({ source }) => source.includes("(?<="))).toBe(true);
});
