import { expect, it } from "vitest";
import { astGrep } from "#harness/mutation/fake-tests.ts";
import { type Files, projectFolder } from "#harness/mutation/tiny-project.ts";
import { type ProposedCases, proposeCases } from "#src/mutation/generate/propose-cases.ts";
import { readProject } from "#src/mutation/project.ts";
import { openProject } from "#src/tool-runner/project-folder.ts";

function propose(
  source: string,
  more: Files = {},
  { file = "src/a.ts", seed = 1, maxCalls = 200 } = {},
): ProposedCases {
  const root = projectFolder({ "package.json": "{}", [file]: source, ...more });
  return proposeCases(astGrep, { project: readProject(openProject(root)), file, seed, maxCalls });
}

function names({ cases }: ProposedCases): string[] {
  return [...new Set(cases.map(({ name }) => name))];
}

/** Arguments of the calls of a function with this head. */
function calls(head: string, more?: Files): string[] {
  return propose(`${head} {}`, more).cases.map(({ call }) => call.join());
}

it("[MU21] exported functions in all forms are called by their exported names", () => {
  const source = `
    export function a() {}
    export const b = () => 1, c = function () {}, d = 5;
    function e() {}
    const f = async () => 1;
    export { e, f as g, a as "no name" };
    export default function () {}
    export function* h() {}
    export class I {}
    export { z } from "./z";
    function hidden() {}`;
  expect(names(propose(source))).toEqual(["a", "b", "c", "e", "g", "default"]);
  const common = `
    const a = () => 1;
    module.exports = { a, b: function () {}, c() {}, d: 5 };
    exports.e = () => 2;`;
  expect(names(propose(common, {}, { file: "src/a.js" }))).toEqual(["a", "b", "e"]);
  expect(names(propose("module.exports = function (x) {};", {}, { file: "a.cjs" }))).toEqual(["module.exports"]);
});

it.each([
  ["time", "export const f = () => Date.now();"],
  ["the date of today", "export const f = () => new Date();"],
  ["chance", "export const f = () => Math.random();"],
  ["the system", "export const f = () => process.exit();"],
  ["an imported built-in", 'import { rmSync } from "node:fs";\nexport const f = () => rmSync("/");'],
  ["a required built-in", 'const fs = require("fs");\nexport const f = () => fs.rmSync("/");'],
  ["a package", 'import x from "some-package";\nexport const f = () => x();'],
  ["a function that does", "function g() { return fetch('x'); }\nexport const f = () => g();"],
  ["a file that does", 'import { g } from "./g.js";\nexport const f = () => g();'],
  ["a file that imports one that does", 'import { h } from "./h";\nexport const f = () => h();'],
  ["a missing file", 'import { g } from "./gone";\nexport const f = () => g();'],
  ["its object", "export function f() { return this.x; }"],
])("[MU21] a function that reaches %s is not called, and reported", (_what, source) => {
  const others = {
    "src/g.ts": "export const g = () => process.env.X;",
    "src/h.ts": 'export * from "./g";\nexport const h = () => 1;',
  };
  expect(propose(source, others)).toEqual({
    cases: [],
    skipped: [{ name: "f", reason: "may have effects, or depend on more than its arguments" }],
  });
});

it("[MU21] words in strings, types, given dates and pure modules do not make a function impure", () => {
  const source = `
    import { join } from "node:path";
    import type { Stats } from "node:fs";
    import { g } from "./g";
    // process
    export const f = (x: string) => join(x, "process", g(x)) + new Date(5).getTime();`;
  const loop = 'import { f } from "./a";\nexport const g = (x: string) => x;';
  expect(names(propose(source, { "src/g.ts": loop }))).toEqual(["f"]);
});

it("[MU22] types, defaults and the function's own literals give the arguments", () => {
  expect(calls("export function f(a: boolean)")).toEqual(expect.arrayContaining(["true", "false"]));
  const near = propose("export function f(a: number) { return a > 41; }").cases.map(({ call }) => call[0]);
  expect(near).toEqual(expect.arrayContaining(["40", "41", "42", "0", "-1"]));
  expect(calls("export function f(a = 7)")).toEqual(expect.arrayContaining(["", "7", "0"]));
  expect(calls('export function f(a: "x" | "y" | null)').sort()).toEqual(['"x"', '"y"', "null"]);
  expect(calls("export function f(a?: boolean)").sort()).toEqual(["", "false", "true"]);
  expect(calls("export function f(a: string[])")).toContain("[]");
  expect(calls("export function f(a: readonly [boolean, null])").sort()).toEqual(["[false, null]", "[true, null]"]);
  expect(calls("export function f(a: { b: boolean; c?: null })")).toContain("{ b: true }");
  expect(calls("export function f(a: Record<string, boolean>)")).toContain("{ a: true }");
  expect(calls("export function f(a: Partial<Array<bigint>>)")).toContain("{}");
  expect(calls("export function f(...a: boolean[])")).toContain("true");
  expect(calls('export function f(a = "x")')).toEqual(expect.arrayContaining(['"x"', '"Hello World"']));
  expect(calls("export function f(a = false)").sort()).toEqual(["", "false", "true"]);
  expect(calls("export function f({ b } = {})").sort()).toEqual(["", "{}"]);
  expect(calls("export function f(a = other())").length).toBeGreaterThan(5);
  expect(calls("export function f(a: Array<null>)")).toContain("[null]");
  expect(calls("export function f(a)").length).toBeGreaterThan(5);
  expect(calls("export const f = a =>").length).toBeGreaterThan(5);
});

it("[MU22] types of the file are resolved; a function with an unknown type is reported", () => {
  const source = `
    interface Money { readonly cents: 5; currency: Currency }
    type Currency = "EUR" | "CHF";
    type Endless = { next: Endless };
    export const f = (money: Money) => money;
    export const g = (done: () => void) => done;
    export const h = (endless: Endless) => endless;
    export const i = (stats: Stats) => stats;`;
  const { cases, skipped } = propose(source);
  expect(cases.map(({ call }) => call[0])).toEqual(
    expect.arrayContaining(['{ cents: 5, currency: "CHF" }', '{ cents: 5, currency: "EUR" }']),
  );
  expect(cases).toHaveLength(2);
  const reason = "takes what cannot be written as a literal";
  expect(skipped).toEqual(["g", "h", "i"].map((name) => ({ name, reason })));
});

it("[MU22] calls of existing tests come first, with their literals only", () => {
  const test = `
    import { f } from "../src/a";
    import other, * as whole from "./other";
    test("f", () => { f([1, -2], { a: "b" }, null); whole.f(3, true, "x"); f(variable); f(g()); });`;
  const { cases } = propose("export function f(a, b, c) {}", { "test/a.test.ts": test }, { maxCalls: 20 });
  expect(cases.slice(0, 2).map(({ call }) => call)).toEqual([
    ["[1, -2]", '{ a: "b" }', "null"],
    ["3", "true", '"x"'],
  ]);
  expect(cases).toHaveLength(20);
  const whole = { "test/a.test.js": 'const sum = require("../src/a");\ntest("x", () => sum(1234));' };
  const { cases: byName } = propose("module.exports = (a) => a;", whole, { file: "src/a.js" });
  expect(byName[0]).toEqual({ name: "module.exports", call: ["1234"] });
});

it("[MU22] the same seed draws the same calls, another one others, never more than the limit", () => {
  const [one, again, other] = [1, 1, 2].map((seed) =>
    propose("export function f(a: number, b: number) {}", {}, { seed, maxCalls: 12 }),
  );
  expect(again).toEqual(one);
  expect(other).not.toEqual(one);
  expect(one?.cases).toHaveLength(12);
});
