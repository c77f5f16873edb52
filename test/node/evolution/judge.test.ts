import * as astGrep from "@ast-grep/napi";
import { expect, it } from "vitest";
import { aCandidate, aFinding, aMeasurement } from "#harness/evolution/measured.ts";
import { judge, newFindings, type FileDelta, type JudgeInput } from "#src/evolution/judge.ts";
import { parseCounts, parseLcov } from "#src/evolution/tests.ts";

const change: FileDelta = { path: "src/a.ts", kind: "changed", before: "var a = 1;", after: "let a = 1;" };

function judged(changes: Partial<JudgeInput> = {}): string[] {
  const before = aMeasurement({ findings: [aFinding(), aFinding({ rule: "other" })] });
  const after = aMeasurement({ findings: [aFinding({ rule: "other" })] });
  return judge({
    before,
    after,
    candidate: aCandidate(),
    rules: { allowsApi: false },
    changes: [change],
    astGrep,
    ...changes,
  });
}

const fine = [aFinding({ rule: "other" })];

it("[EV4] a change that removes its findings and makes nothing worse is kept", () => {
  expect(judged()).toEqual([]);
});

it("[EV4] a change that does nothing, leaves its findings or adds one is not kept", () => {
  expect(judged({ changes: [] })).toEqual(["nothing was changed"]);
  expect(judged({ after: aMeasurement({ findings: [aFinding(), ...fine] }) })[0]).toMatch(
    /^1 of 1 findings are still there/,
  );
  const fresh = aMeasurement({ findings: [...fine, aFinding({ rule: "new", range: { line: 9 } })] });
  expect(judged({ after: fresh })).toEqual(["new findings: oxlint new in src/a.ts:9"]);
  const failed = aMeasurement({ findings: fine, tools: [{ name: "oxlint", status: "failed", why: "it crashed" }] });
  expect(judged({ after: failed })).toEqual(["oxlint does not run any more: it crashed"]);
});

it("[EV5] a finding whose line was changed replaces its former self, but no finding of the task", () => {
  const own = aFinding();
  const other = aFinding({ fingerprint: "other at the old line" });
  const moved = aFinding({ fingerprint: "other at the new line" });
  expect(newFindings([own, other], [moved], new Set([own.fingerprint]))).toEqual([]);
  expect(newFindings([own], [moved], new Set([own.fingerprint]))).toEqual([moved]);
  const twice = [moved, aFinding({ fingerprint: "a second one" })];
  expect(newFindings([own, other], twice, new Set([own.fingerprint]))).toHaveLength(1);
});

function withTests(tests: object): string[] {
  return judged({ after: aMeasurement({ findings: fine, tests: { ...aMeasurement().tests, ...tests } }) });
}

it("[EV4] tests that fail, are fewer, or are skipped reject a change", () => {
  expect(withTests({ passed: false, output: "it broke" })).toEqual(["the tests fail: it broke"]);
  expect(withTests({ counts: { ran: 9, skipped: 1 } })).toEqual(["9 tests ran, 10 before"]);
  expect(withTests({ counts: { ran: 10, skipped: 2 } })).toEqual(["2 tests are skipped, 1 before"]);
  expect(withTests({ counts: null })).toEqual(["the tests are not counted any more"]);
});

it("[EV4] [EV21] the coverage drops when the tests miss more lines, not when covered lines are deleted", () => {
  const withCoverage = (lines: number, covered: number) =>
    judged({ after: aMeasurement({ findings: fine, coverage: { lines, covered } }) });
  expect(withCoverage(90, 70)).toEqual([]);
  expect(withCoverage(101, 80)).toEqual(["the tests miss 21 lines, 20 before"]);
  expect(judged({ after: aMeasurement({ findings: fine, coverage: null }) })).toHaveLength(1);
  expect(judged({ before: aMeasurement({ findings: [aFinding()], coverage: null }), after: aMeasurement() })).toEqual(
    [],
  );
});

function withApi(old: readonly string[], now: readonly string[], rest: Partial<JudgeInput> = {}): string[] {
  return judged({
    before: aMeasurement({ findings: [aFinding(), aFinding({ rule: "other" })], api: [...old] }),
    after: aMeasurement({ findings: fine, api: [...now] }),
    ...rest,
  });
}

it("[EV6] a change of the public API is kept only where that is allowed", () => {
  const [one, two] = ["export declare const one: number;", "export declare const two: number;"];
  expect(withApi([one], [])).toEqual([`the public API changes: - ${one}`]);
  expect(withApi([one], [], { rules: { allowsApi: true } })).toEqual([]);
  expect(withApi([], [`public ${one}`])).toEqual([`the public API changes: + ${one}`]);
  expect(withApi([two], [one, two])).toEqual([]);
  const unused = aFinding({ tool: "knip", rule: "exports", symbol: "one" });
  const candidate = aCandidate({ fixer: "unused", findings: [unused] });
  const findings = [unused, aFinding({ rule: "other" })];
  const before = aMeasurement({ findings, api: [one, two] });
  expect(withApi([], [two], { before, candidate })).toEqual([]);
  expect(withApi([], [], { before, candidate })).toEqual([`the public API changes: - ${two}`]);
});

const worker = aCandidate({ method: "worker", fixer: null });

/** What the judge says of a worker's change of one file. */
function reasons(before: string | null, after: string | null, rest: Partial<FileDelta> = {}): string[] {
  const kind = before === null ? "added" : after === null ? "deleted" : "changed";
  const one: FileDelta = { path: "src/a.ts", kind, before, after, ...rest };
  return judged({ candidate: worker, changes: [change, one] });
}

it("[EV7] other files, deleted files and tests, and links instead of files reject a change", () => {
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

it("[EV16] tests are added beside the code that they test, which stays as it is", () => {
  const candidate = aCandidate({ method: "worker", fixer: null, subject: "tests", findings: [] });
  const after = aMeasurement({ findings: [aFinding(), ...fine] });
  const added: FileDelta = { path: "src/a.test.ts", kind: "added", before: null, after: "assert.equal(a, 1);" };
  expect(judged({ candidate, after, changes: [added] })).toEqual([]);
  expect(judged({ candidate, after, changes: [added, change] })).toEqual([
    "files of no concern were changed: src/a.ts",
  ]);
});

it("[EV104] settings of tools are never changed, even where they have a finding", () => {
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

it("[EV101] each way to silence a checker rejects a change, by its syntax", () => {
  for (const after of [
    'const a: number = "no" as any;',
    "const a = <any>b;",
    "const a = b as unknown as Foo;",
    "const a = (b as Foo) as Bar;",
    "const a = b as never;",
    "const a: any = b;",
    "function f(a: Map<string, any>) {}",
    "type A = any;",
    "type A = Function;",
    "const a = b as string;",
    "const a = b!;",
    "b!.c();",
    "let a!: string;",
    "class A { b!: string }",
    'declare module "a";',
    "declare const b: Foo;",
    "function isA(b: unknown): b is A { return true; }",
    "function isA(b: unknown): asserts b is A {}",
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
    "if (b) { /* nothing to do */ }",
    'eval("b");',
    'globalThis.eval("b");',
    'new Function("b");',
    'setTimeout("b", 1);',
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
  for (const after of [
    "/** @type {any} */\nlet a;",
    "const a = /** @type {Foo} */ (b);",
    "/** @param {*} a */\nfunction f(a) {}",
  ])
    expect(
      judged({ candidate: aCandidate({ files: ["src/a.js"] }), changes: [{ ...change, path: "src/a.js", after }] }),
      after,
    ).toHaveLength(1);
  expect(reasons("let a;", "const a = <b>{/* eslint-disable */}</b>;", { path: "src/a.ts" })).not.toEqual([]);
});

it("[EV101] texts, types that check and code that moves are no way to silence a checker", () => {
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

it("[EV101] a suppression that hides more than before rejects a change", () => {
  for (const [before, after] of [
    ["// eslint-disable-next-line a", "// eslint-disable-next-line a, b"],
    ["// eslint-disable-next-line a", "// eslint-disable-next-line"],
    ["// eslint-disable-next-line a", "/* eslint-disable a */"],
    ["/* c8 ignore next 1 */", "/* c8 ignore next 30 */"],
    ["const a: any = 1;", "const a = 1 as any;"],
    ["try { f(); } catch {}", "try { f(); } catch { /* fine */ }"],
  ] as const)
    expect(reasons(before, after), after).not.toEqual([]);
  expect(reasons("// eslint-disable-next-line a, b -- why", "// eslint-disable-next-line a -- why")).toEqual([]);
});

it("[EV102] a cast to a type may replace what checks less than it, and nothing else", () => {
  expect(reasons("const a: any = f();", "const a = f() as Foo;")).toEqual([]);
  expect(reasons("const a = f() as any;", "const a = f() as Foo;")).toEqual([]);
  expect(reasons("const a: any = f();", "const a = f() as Foo; const b = g() as Foo;")).toHaveLength(1);
});

it("[EV7] [EV101] tests that are skipped reject a change, whatever they are called", () => {
  const test = { path: "src/a.test.ts" };
  for (const line of [
    "test.skip('a', f)",
    "describe.only('b', f)",
    "xit('c', f)",
    "test('d', { todo: true }, f)",
    "it.skip.each(x)('e', f)",
    "it['skip']('f', f)",
    "test('g', (t) => { t.skip(); })",
    "const later = it.skip; later('h', f)",
  ])
    expect(reasons("test('a', f)", line, test), line).toHaveLength(1);
  expect(reasons("", "cursor.skip(3); test('skip', () => f({ only: 1 }));", test)).toEqual([]);
});

it("[EV103] assertions of a test stay, word by word but for white space, also in another file", () => {
  const test = { path: "src/a.test.ts" };
  const before = "test('a', () => { assert.equal(f(1), 2); expect(g()).toBe(3); });";
  const checks = (after: string): string[] => reasons(before, after, test);
  expect(
    checks("test('a', () => {\n  assert.equal(\n    f(1), 2,\n  );\n  expect(g()).toBe(3);\n  assert(h());\n});"),
  ).toEqual([]);
  expect(checks("test('a', () => { assert.equal(f(1), 2); g(); });")).toEqual([
    "the tests assert 1 times, 2 times before",
  ]);
  expect(checks("test('a', () => { assert.equal(f(1), 2); assert(true); });")).toHaveLength(1);
  expect(checks("test('a', () => { assert.equal(f(1), 9); expect(g()).toBe(3); });")).toEqual([
    "an assertion of a test was changed: assert.equal(f(1),2)",
  ]);
  // A finding in the test itself may need another assertion.
  const candidate = aCandidate({ method: "worker", fixer: null, files: ["src/a.test.ts"] });
  const changed = {
    ...test,
    kind: "changed",
    before: "expect(a.length).toBe(1);",
    after: "expect(a).toHaveLength(1);",
  } as const;
  expect(judged({ candidate, changes: [changed] })).toEqual([]);
});

it("[EV101] without a parser no worker's change is kept, and suppressions of other languages are found all the same", () => {
  const changes = [change];
  expect(judged({ candidate: worker, changes, astGrep: null })).toEqual([expect.stringContaining("@ast-grep/napi")]);
  expect(judged({ changes, astGrep: null })).toEqual([]);
  const style = { ...change, path: "src/a.css", before: "", after: "/* biome-ignore lint: x */" };
  expect(judged({ candidate: aCandidate({ files: ["src/a.css"] }), changes: [style] })).toHaveLength(1);
});

it("[EV3] counts and coverage are read from the reports of the frameworks", () => {
  expect(parseCounts("# tests 5\n# pass 3\n# fail 1\n# skipped 1\n# todo 0\n")).toEqual({ ran: 4, skipped: 1 });
  expect(parseCounts("no report")).toBeNull();
  const vitest = { numPassedTests: 3, numFailedTests: 0, numPendingTests: 2, numTodoTests: 1 };
  expect(parseCounts(JSON.stringify(vitest))).toEqual({ ran: 3, skipped: 3 });
  expect(parseCounts('{"stats":{"passes":2,"failures":1,"pending":4}}')).toEqual({ ran: 3, skipped: 4 });
  expect(parseCounts("")).toBeNull();
  expect(parseLcov("SF:a\nLF:10\nLH:4\nend_of_record\nSF:b\nLF:2\nLH:2\n")).toEqual({ lines: 12, covered: 6 });
  expect(parseLcov("")).toBeNull();
});
