import { build } from "esbuild";
import { expect, it } from "vitest";
import { projectFolder } from "#harness/mutation/tiny-project.ts";
import { loadAstGrep } from "#src/mutation/ast-grep.ts";
import { findMutants, parses } from "#src/mutation/find-mutants.ts";
import { mutate, sample } from "#src/mutation/mutant.ts";
import { seededRandom } from "#src/shared/seeded-random.ts";
import { operators } from "#src/mutation/operators.ts";

const astGrep = await loadAstGrep(import.meta.dirname);

/** `operator: before -> after` of each mutant. */
function changes(source: string, file = "a.ts"): string[] {
  return findMutants(astGrep, file, source).map(({ operator, before, after }) => `${operator}: ${before} -> ${after}`);
}

const cases: readonly [source: string, ...changes: string[]][] = [
  ["a < b;", "boundary: a < b -> a <= b", "comparison: a < b -> a >= b"],
  ["a >= b;", "boundary: a >= b -> a > b", "comparison: a >= b -> a < b"],
  ["x = a === b;", "statement: x = a === b; -> ;", "equality: a === b -> a !== b"],
  ["a != b;", "equality: a != b -> a == b"],
  ["a && b || c;", "logical: a && b || c -> a && b && c", "logical: a && b -> a || b"],
  ["a ?? b;", "logical: a ?? b -> ((a) && b)"],
  ["a - b * c;", "arithmetic: a - b * c -> a + b * c", "arithmetic: b * c -> b / c"],
  ["a + 'x' + b;", `string: 'x' -> ""`],
  ["i++;", "statement: i++; -> ;", "update: i++ -> i--"],
  ["i += 2;", "statement: i += 2; -> ;", "assignment: i += 2 -> i -= 2"],
  ["s += `x`;", "statement: s += `x`; -> ;", 'string: `x` -> ""'],
  ["let t = true;", "boolean: true -> false"],
  ["let t = !a;", "not: !a -> a"],
  ["if (a) b();", "condition: a -> !(a)", "statement: b(); -> ;"],
  ["if (!a) {}", "not: !a -> a"],
  ["if (a < 1) {}", "boundary: a < 1 -> a <= 1", "comparison: a < 1 -> a >= 1"],
  ["for (; a; ) {}", "condition: a -> !(a)"],
  ["for (;;) {}"],
  ["do {} while (a);", "condition: a -> !(a)"],
  ["let t = a ? b : c;", "condition: a -> !(a)"],
  ["while (true) {}", "boolean: true -> false"],
  ["function f() { return a; }", "return: a -> undefined"],
  ["function f() { return!a; }", "not: !a -> a", "return: !a -> (undefined)"],
  ["function f() { return; }"],
  ["const f = (a) => a.b;", "return: a.b -> undefined"],
  ["const f = () => { g(); };", "statement: g(); -> ;"],
  ["throw new E();", "statement: throw new E(); -> ;"],
  ["await f();", "statement: await f(); -> ;"],
  ['f("");', 'statement: f(""); -> ;', 'string: "" -> "mutant"'],
  ["let l = [1];", "array: [1] -> []"],
  ["let l = [];"],
];

it.each(cases)("[MU2] %s has the mutants of the table", (source, ...expected) => {
  expect(changes(source)).toEqual(expected);
});

it("[MU2] each operator of the table makes a mutant in these cases", () => {
  const used = new Set(cases.flatMap(([source]) => findMutants(astGrep, "a.ts", source).map((one) => one.operator)));
  expect([...used].sort()).toEqual(operators.map(({ name }) => name).sort());
});

it.each([
  'import a from "b"; import "c"; export * from "d";',
  'const a = require("b"); const c = await import("d");',
  "type T = 'a' | true | `x${string}`; interface I { a: 'b'; f(x: false): void }",
  "declare const a: 'b'; let c: Array<'d'>; function f<T extends 'e'>(x: T): asserts x is T {}",
  '"use strict";',
  "console.log(a < b, 'text'); log.info('x'); this.logger.debug('y'); await log(`z`);",
  "const a = { 'b-c': d };",
  "const a = tag`text`;",
  "class A extends B { constructor() { super(); } }",
])("[MU2] there is no mutant in %s", (source) => {
  expect(changes(source)).toEqual([]);
});

it("[MU2] JavaScript, TSX and text beyond the first plane are read alike", () => {
  const source = 'const a = <b c={d}>😀</b>; const e = "😀" + (f < g);';
  const mutants = findMutants(astGrep, "a.jsx", source);
  expect(mutants.map((one) => mutate(source, one))).toContain('const a = <b c={d}>😀</b>; const e = "😀" + (f <= g);');
  expect(mutants.find(({ operator }) => operator === "boundary")?.range).toEqual({
    line: 1,
    column: source.indexOf("f <") + 1,
    endLine: 1,
    endColumn: source.indexOf(");") + 1,
  });
});

it("[MU5] a mutant that does not parse is found out, unless the file did not parse before", () => {
  const [mutant] = findMutants(astGrep, "a.ts", "let a = b < c;");
  const broken = { ...mutant!, after: "b <" };
  expect(parses(astGrep, mutant!, "let a = b < c;")).toBe(true);
  expect(parses(astGrep, broken, "let a = b < c;")).toBe(false);
  expect(parses(astGrep, broken, "let a = b < c; let = ;(")).toBe(true);
});

it("[MU3] ids stay when other code changes and blanks move, and equal mutants have different ones", () => {
  const ids = (source: string): string[] => findMutants(astGrep, "a.ts", source).map(({ id }) => id);
  const before = ids("let a = b\n  <  c;");
  expect(ids("let z = 1;\nlet a = b < c;")).toEqual(before);
  const twice = ids("let a = b < c; let d = b < c;");
  expect(twice.slice(0, 2)).toEqual(before);
  expect(new Set(twice).size).toBe(4);
  expect(findMutants(astGrep, "other.ts", "let a = b < c;").map(({ id }) => id)).not.toEqual(before);
});

it("[MU4] the same seed draws the same items in their order, another seed others", () => {
  const items = Array.from({ length: 100 }, (_, index) => index);
  const draw = (seed: number): number[] => sample(items, 10, seededRandom(seed));
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
  expect(draw(1)).toEqual([...draw(1)].sort((a, b) => a - b));
  expect(new Set(Array.from({ length: 200 }, (_, seed) => draw(seed)).flat()).size).toBe(100);
  expect(sample(items, 100, seededRandom(1))).toEqual(items);
});

it("[MU1] where the package is missing the error names it; a project's own copy serves", async () => {
  const missing = "@shim-tests/missing";
  const root = projectFolder({ "package.json": "{}" });
  await expect(loadAstGrep(root, missing)).rejects.toThrow(`npm install --save-dev ${missing}`);
  const module = { [`node_modules/${missing}/index.js`]: "exports.parse = () => 1;" };
  const withCopy = projectFolder({ "package.json": "{}", ...module });
  expect((await loadAstGrep(withCopy, missing)).parse("TypeScript", "")).toBe(1);
});

it("[MU1] a bundle does not have the package", async () => {
  const { metafile, outputFiles } = await build({
    stdin: { contents: 'export * from "./src/mutation/ast-grep.ts";', resolveDir: process.cwd() },
    bundle: true,
    platform: "node",
    format: "cjs",
    write: false,
    metafile: true,
    minify: true,
  });
  expect(Object.keys(metafile.inputs).filter((path) => path.includes("node_modules"))).toEqual([]);
  expect(outputFiles[0]?.text).toMatch(/import\(\w+\)/);
});
