import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { inAscii } from "../../../scripts/programs.ts";

it("a program in ASCII does the same, with other characters in texts, in raw texts of expressions and in expressions", () => {
  const code = `[ "…ü😀", \`\\\\→\${1}\`, /^[😀à-ü]$/u.test("😀"), new RegExp(String.raw\`^[:：]$\`).test("：") ]`;
  expect(inAscii(code)).toMatch(/^[\0-\x7F]*$/);
  expect(JSON.stringify(runInNewContext(inAscii(code)))).toBe(JSON.stringify(["…ü😀", "\\→1", true, true]));
});

it("a backslash before such a character would take its escape: the build fails", () => {
  expect(() => inAscii(String.raw`"\…"`)).toThrow("a backslash before …");
});
