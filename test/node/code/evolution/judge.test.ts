import * as astGrep from "@ast-grep/napi";
import { expect, it } from "vitest";
import { aCandidate, aFinding, aMeasurement } from "#harness/evolution/measured.ts";
import { judge, newFindings, type FileDelta, type JudgeInput } from "#src/code/evolution/judge.ts";

const change: FileDelta = { path: "src/a.ts", kind: "changed", before: "var a = 1;", after: "let a = 1;" };

function judged(changes: Partial<JudgeInput> = {}): string[] {
  const before = aMeasurement({ findings: [aFinding(), aFinding({ rule: "other" })] });
  const after = aMeasurement({ findings: [aFinding({ rule: "other" })] });
  return judge({
    before,
    after,
    candidate: aCandidate(),
    allowsApi: false,
    changes: [change],
    astGrep,
    ...changes,
  });
}

const fine = [aFinding({ rule: "other" })];

it("a change that removes its findings and makes nothing worse is kept", () => {
  expect(judged()).toEqual([]);
});

it("a change that does nothing, leaves its findings or adds one is not kept", () => {
  expect(judged({ changes: [] })).toEqual(["nothing was changed"]);
  expect(judged({ after: aMeasurement({ findings: [aFinding(), ...fine] }) })[0]).toMatch(
    /^1 of 1 findings are still there/,
  );
  const fresh = aMeasurement({ findings: [...fine, aFinding({ rule: "new", range: { line: 9 } })] });
  expect(judged({ after: fresh })).toEqual(["new findings: oxlint new in src/a.ts:9"]);
  const failed = aMeasurement({ findings: fine, tools: [{ name: "oxlint", status: "failed", why: "it crashed" }] });
  expect(judged({ after: failed })).toEqual(["oxlint does not run any more: it crashed"]);
});

it("a finding whose line was changed replaces its former self, but no finding of the task", () => {
  const own = aFinding();
  const other = aFinding({ fingerprint: "other at the old line" });
  const moved = aFinding({ fingerprint: "other at the new line" });
  expect(newFindings([own, other], [moved], new Set([own.fingerprint]))).toEqual([]);
  expect(newFindings([own], [moved], new Set([own.fingerprint]))).toEqual([moved]);
  const twice = [moved, aFinding({ fingerprint: "a second one" })];
  expect(newFindings([own, other], twice, new Set([own.fingerprint]))).toHaveLength(1);
});

it("tests that fail reject a change", () => {
  const after = aMeasurement({ findings: fine, tests: { failure: "npm test ended with exit code 1", isFlaky: false } });
  expect(judged({ after })).toEqual(["the tests fail: npm test ended with exit code 1"]);
});

it("what becomes unused where unused code is removed is no new finding", () => {
  const unused = aFinding({ tool: "knip", rule: "exports", symbol: "one" });
  const inTurn = aFinding({ tool: "knip", rule: "types", file: "src/b.ts" });
  const before = aMeasurement({ findings: [unused] });
  const after = aMeasurement({ findings: [inTurn] });
  const candidate = aCandidate({ fixer: "unused", findings: [unused] });
  expect(judged({ before, after, candidate })).toEqual([]);
  expect(judged({ after: aMeasurement({ findings: [...fine, inTurn] }) })).toEqual([
    "new findings: knip types in src/b.ts:1",
  ]);
});

function withApi(old: readonly string[], now: readonly string[], rest: Partial<JudgeInput> = {}): string[] {
  return judged({
    before: aMeasurement({ findings: [aFinding(), aFinding({ rule: "other" })], api: [...old] }),
    after: aMeasurement({ findings: fine, api: [...now] }),
    ...rest,
  });
}

it("what was declared stays, but for unused exports and what only they used; more may come", () => {
  const [one, two] = ["export declare const one: number;", "export declare const two: number;"];
  expect(withApi([one], [])).toEqual([`the public API changes: ${one}`]);
  expect(withApi([one], ["export declare const one: string;"])).toHaveLength(1);
  expect(withApi([one], [], { allowsApi: true })).toEqual([]);
  expect(withApi([two], [one, two])).toEqual([]);
  expect(withApi(["interface Gone { a: string; }"], [])).toEqual([]);
  expect(withApi(["interface Options { a: string; }"], ["interface Options { b: string; }"])).toHaveLength(1);
  const unused = aFinding({ tool: "knip", rule: "exports", symbol: "one" });
  const candidate = aCandidate({ fixer: "unused", findings: [unused] });
  const findings = [unused, aFinding({ rule: "other" })];
  const before = aMeasurement({ findings, api: [one, two] });
  expect(withApi([], [two], { before, candidate })).toEqual([]);
  expect(withApi([], [], { before, candidate })).toEqual([`the public API changes: ${two}`]);
});

const worker = aCandidate({ method: "worker", fixer: null });

/** What the judge says of a worker's change of one file. */
function reasons(before: string | null, after: string | null, rest: Partial<FileDelta> = {}): string[] {
  const kind = before === null ? "added" : after === null ? "deleted" : "changed";
  const one: FileDelta = { path: "src/a.ts", kind, before, after, ...rest };
  return judged({ candidate: worker, changes: [change, one] });
}

it("other files, deleted files and tests, and links instead of files reject a change", () => {
  const test = { path: "src/a.test.ts" };
  expect(reasons("", "assert.equal(a, 1);", test)).toEqual([]);
  expect(reasons("", "", { path: "src/b.ts" })).toEqual(["files of no concern were changed: src/b.ts"]);
  expect(reasons(null, "", { path: "../other/a.ts" })).toHaveLength(1);
  expect(reasons("", null, test)).toEqual(["tests were deleted: src/a.test.ts"]);
  const ofTest = aCandidate({ method: "worker", fixer: null, files: ["src/a.test.ts"] });
  const deleted: FileDelta = { ...test, kind: "deleted", before: "", after: null };
  expect(judged({ candidate: ofTest, changes: [deleted] })).toEqual(["tests were deleted: src/a.test.ts"]);
  expect(reasons("let a;", null)).toEqual(["files were deleted: src/a.ts"]);
  const double = aCandidate({ method: "worker", fixer: null, subject: "duplicates" });
  expect(judged({ candidate: double, changes: [{ ...change, kind: "deleted", after: null }] })).toEqual([]);
  expect(reasons("let a;", null, { kind: "retyped" })).toHaveLength(1);
  // A mechanical change has no business in the tests.
  expect(judged({ changes: [change, { ...test, kind: "changed", before: "", after: "" }] })).toHaveLength(1);
});

it("settings of tools are never changed, even where they have a finding", () => {
  for (const path of [
    "tsconfig.json",
    "tsconfig.build.json",
    ".oxlintrc.json",
    "eslint.config.js",
    "packages/a/vitest.config.ts",
    "package.json",
    ".gitignore",
    ".eslintignore",
    "knip.ts",
    "biome.jsonc",
    "analysis-baseline.json",
  ]) {
    const candidate = aCandidate({ files: [path] });
    const changes = [{ ...change, path, before: "{}", after: "{ }" }];
    expect(judged({ candidate, changes }), path).toEqual([`settings of tools were changed: ${path}`]);
  }
  for (const path of ["src/config.ts", "src/knip.test.ts", "src/package.ts"])
    expect(judged({ candidate: aCandidate({ files: [path] }), changes: [{ ...change, path }] }), path).toEqual([]);
});

it("each way to silence a checker rejects a change, by its syntax", () => {
  for (const after of [
    'const a: number = "no" as any;',
    "const a = <any>b;",
    "const a = b as unknown as Foo;",
    "const a = (b as Foo) as Bar;",
    "const a = b as never;",
    "const a: any = b;",
    "function f(a: Map<string, any>) {}",
    "type A = any;",
    "const a = b as string;",
    "const a = b!;",
    "b!.c();",
    "let a!: string;",
    "class A { b!: string }",
    "void b;",
    "b;",
    "b.c;",
    "f(function (_b) {});",
    "const { b: _b } = c;",
    'import { b as _b } from "b";',
    "try { f(); } catch {}",
    "try { f(); } catch (error) { /* never */ }",
    "p.catch(() => {});",
    "p.catch(() => undefined);",
    'eval("b");',
    'globalThis.eval("b");',
    'new Function("b");',
    "// eslint-disable-next-line\nf();",
    "/* oxlint-disable no-var */",
    "/* eslint no-var: 0 */",
    "// @ts-ignore",
    "// @ts-expect-error because",
    "// @ts-nocheck",
    "/* c8 ignore next */",
    "/* v8 ignore start */",
    "/* istanbul ignore else */",
    "// biome-ignore lint: x",
    "// prettier-ignore",
    "f(); // NOSONAR",
    "/** @public */\nexport const a = 1;",
  ])
    expect(reasons("let a;", after), after).toContainEqual(
      expect.stringMatching(/^a (?:checker is silenced|finding is suppressed)/),
    );
  expect(reasons("let a;", "const a = <b>{/* eslint-disable */}</b>;", { path: "src/a.ts" })).not.toEqual([]);
});

it("texts, types that check and code that moves are no way to silence a checker", () => {
  for (const after of [
    'const a = "as any // @ts-ignore";',
    "const a = `b!`;",
    "const a = [1] as const;",
    "const a = b satisfies Foo;",
    "const a: unknown = b;",
    "// Any eslint rule would object: it ignores this.",
    "if (!b) f();",
    "const a = b !== c;",
    "const a = void 0;",
    "try { f(); } catch (error) { log(error); }",
    "p.catch((error) => log(error));",
    "const a = {};",
    '"use strict";',
    "a ? f() : g();",
    "await p;",
    "function isA(b: unknown): b is A { return typeof b === 'string'; }",
    "const any = 1; const eval1 = any;",
  ])
    expect(reasons("let a;", after), after).toEqual([]);
  expect(reasons("const a = b!;\n// @ts-ignore\nc;", "const a = 1;")).toEqual([]);
  expect(reasons("const a = b!;\n", "\n\nfunction f() {\n  const c = d!;\n}\n")).toEqual([]);
  const files = ["src/a.ts", "src/b.ts"];
  const moved: FileDelta[] = [
    { ...change, before: "const a = b!;", after: "" },
    { ...change, path: "src/b.ts", before: "", after: "const a = b!;" },
  ];
  expect(judged({ candidate: aCandidate({ files }), changes: moved })).toEqual([]);
});

it("a suppression that hides more than before rejects a change", () => {
  for (const [before, after] of [
    ["// eslint-disable-next-line a", "// eslint-disable-next-line a, b"],
    ["// eslint-disable-next-line a", "// eslint-disable-next-line"],
    ["// eslint-disable-next-line a", "/* eslint-disable a */"],
    ["/* c8 ignore next 1 */", "/* c8 ignore next 30 */"],
    ["const a: any = 1;", "const a = 1 as any;"],
  ] as const)
    expect(reasons(before, after), after).not.toEqual([]);
});

it("a cast to a type may replace `any`, and nothing else", () => {
  expect(reasons("const a: any = f();", "const a = f() as Foo;")).toEqual([]);
  expect(reasons("const a: any = f();", "const a = f() as Foo; const b = g() as Foo;")).toHaveLength(1);
});

it("tests that are skipped reject a change, whatever they are called", () => {
  const test = { path: "src/a.test.ts" };
  for (const line of [
    "test.skip('a', f)",
    "describe.only('b', f)",
    "xit('c', f)",
    "test('d', { todo: true }, f)",
    "it.skip.each(x)('e', f)",
    "test('g', (t) => { t.skip(); })",
    "const later = it.skip;",
  ])
    expect(reasons("", line, test), line).toHaveLength(1);
  expect(reasons("", "cursor.skip(3); test('skip', () => f(1));", test)).toEqual([]);
});

it("a test only gains lines, but for imports; one with a finding of its own asserts no less often", () => {
  const test = { path: "src/a.test.ts" };
  const before = 'import { f } from "./a.ts";\ntest("a", () => {\n  assert.equal(f(1), 2);\n});\n';
  const checks = (after: string): string[] => reasons(before, after, test);
  const more =
    'import {\n  f,\n} from "./b.ts";\n  test("a", () => {\n    assert.equal(f(1), 2);\n  assert(h());\n});\n';
  expect(checks(more)).toEqual([]);
  expect(checks(before.replace("2", "9"))).toEqual([
    "a line of a test was changed in src/a.test.ts: assert.equal(f(1), 2);",
  ]);
  const candidate = aCandidate({ method: "worker", fixer: null, files: ["src/a.test.ts"] });
  const own = (text: string): string[] =>
    judged({
      candidate,
      changes: [{ ...test, kind: "changed", before: "expect(a.length).toBe(1);", after: text }],
    });
  expect(own("expect(a).toHaveLength(1);")).toEqual([]);
  expect(own("f(a);")).toEqual(["the tests in src/a.test.ts assert less often"]);
});

it("without a parser no worker's change is kept, and suppressions of other languages are found all the same", () => {
  const changes = [change];
  expect(judged({ candidate: worker, changes, astGrep: null })).toEqual([expect.stringContaining("@ast-grep/napi")]);
  expect(judged({ changes, astGrep: null })).toEqual([]);
  const style = { ...change, path: "src/a.css", before: "", after: "/* biome-ignore lint: x */" };
  expect(judged({ candidate: aCandidate({ files: ["src/a.css"] }), changes: [style] })).toHaveLength(1);
});
