import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import * as astGrep from "@ast-grep/napi";
import { expect, it } from "vitest";
import type { Finding } from "#src/code/analysis/finding.ts";
import { isOpen, RunLimits, type Candidate } from "#src/code/evolution/candidate.ts";
import { changedFiles } from "#src/code/evolution/change.ts";
import { judge, newFindings, type FileDelta, type JudgeInput } from "#src/code/evolution/judge.ts";
import type { Measured } from "#src/code/evolution/measure.ts";
import { stopReason } from "#src/code/evolution/run.ts";
import { userGit } from "#src/snapshots/git.ts";
import { commitAll, git, makeProject, write } from "#harness/machine/git-project.ts";

function aFinding(changes: Partial<Finding> = {}): Finding {
  const { tool = "oxlint", rule = "no-var", file = "src/a.ts", range = { line: 1 } } = changes;
  const fingerprint = `${tool} ${rule} ${file}:${range?.line ?? 0}`;
  const fixed = { version: "1.0.0", level: "warning", message: "say why", content: fingerprint } as const;
  return { ...fixed, tool, rule, file, range, fingerprint, ...changes };
}

function aMeasurement(changes: Partial<Measured> = {}): Measured {
  const tools = [{ name: "oxlint", status: "ran", why: null }] as const;
  const tests = { failure: null, isFlaky: false, ms: 1_000 };
  const api = ["export declare const a: number;"];
  const usual = { commit: "c", findings: [], testFiles: ["src/a.test.ts"], notes: [] };
  return { ...usual, tools: [...tools], tests, api, ...changes };
}

function aCandidate(changes: Partial<Candidate> = {}): Candidate {
  const usual = { id: "id", subject: "lint", method: "fix", fixer: "lint-fix", value: 3 } as const;
  return { ...usual, files: ["src/a.ts"], findings: [aFinding()], ...changes };
}

const change: FileDelta = { path: "src/a.ts", kind: "changed", before: "var a = 1;", after: "let a = 1;" };

const fine = [aFinding({ rule: "other" })];

function judged(changes: Partial<JudgeInput> = {}): string[] {
  const before = aMeasurement({ findings: [aFinding(), ...fine] });
  const usual = { before, after: aMeasurement({ findings: fine }), candidate: aCandidate(), allowsApi: false };
  return judge({ ...usual, changes: [change], astGrep, ...changes });
}

it("a change that removes its findings is kept; one that does nothing, leaves its findings or adds one is not", () => {
  expect(judged()).toEqual([]);
  expect(judged({ changes: [] })).toEqual(["nothing was changed"]);
  const same = aMeasurement({ findings: [aFinding(), ...fine] });
  expect(judged({ after: same })[0]).toMatch(/^1 of 1 findings are still there/);
  const fresh = aMeasurement({ findings: [...fine, aFinding({ tool: "knip", rule: "exports", range: { line: 9 } })] });
  expect(judged({ after: fresh })).toEqual(["new findings: knip exports in src/a.ts:9"]);
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

function withApi(old: readonly string[], now: readonly string[], rest: Partial<JudgeInput> = {}): string[] {
  const before = aMeasurement({ findings: [aFinding(), ...fine], api: [...old] });
  return judged({ before, after: aMeasurement({ findings: fine, api: [...now] }), ...rest });
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
  const candidate = aCandidate({ fixer: "unused-fix", findings: [unused] });
  const before = aMeasurement({ findings: [unused, ...fine], api: [one, two] });
  expect(withApi([], [two], { before, candidate })).toEqual([]);
  expect(withApi([], [], { before, candidate })).toEqual([`the public API changes: ${two}`]);
});

const byWorker = { method: "worker", fixer: null } as const;
const worker = aCandidate(byWorker);

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
  const ofTest = aCandidate({ ...byWorker, files: ["src/a.test.ts"] });
  const deleted: FileDelta = { ...test, kind: "deleted", before: "", after: null };
  expect(judged({ candidate: ofTest, changes: [deleted] })).toEqual(["tests were deleted: src/a.test.ts"]);
  expect(reasons("let a;", null)).toEqual(["files were deleted: src/a.ts"]);
  const double = aCandidate({ ...byWorker, subject: "duplicates" });
  const gone = { ...change, kind: "deleted", after: null } as const;
  expect(judged({ candidate: double, changes: [gone] })).toEqual([]);
  const beside = { ...gone, path: "src/b.ts" };
  expect(judged({ candidate: double, changes: [gone, beside] })).toEqual(["files were deleted: src/b.ts"]);
  expect(reasons("let a;", null, { kind: "retyped" })).toHaveLength(1);
  // A mechanical change has no business in the tests.
  expect(judged({ changes: [change, { ...test, kind: "changed", before: "", after: "" }] })).toHaveLength(1);
});

it("settings of tools are never changed, even where they have a finding", () => {
  const tools = "tsconfig.json tsconfig.build.json .oxlintrc.json eslint.config.js knip.ts biome.jsonc";
  const others = "package.json packages/a/vitest.config.ts .gitignore .eslintignore analysis-baseline.json";
  for (const path of `${tools} ${others}`.split(" ")) {
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
    expect(reasons("let a;", after).join("\n"), after).toMatch(/^a (checker is silenced|finding is suppressed)/m);
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
  const candidate = aCandidate({ files: ["src/a.ts", "src/b.ts"] });
  const from = { ...change, before: "const a = b!;", after: "" };
  const moved = [from, { ...change, path: "src/b.ts", before: "", after: "const a = b!;" }];
  expect(judged({ candidate, changes: moved })).toEqual([]);
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

it("a test only gains lines, but for imports", () => {
  const test = { path: "src/a.test.ts" };
  const before = 'import { f } from "./a.ts";\ntest("a", () => {\n  assert.equal(f(1), 2);\n});\n';
  const checks = (after: string): string[] => reasons(before, after, test);
  const more = 'import {\n  f,\n} from "./b";\n  test("a", () => {\n    assert.equal(f(1), 2);\n  assert(h());\n});\n';
  expect(checks(more)).toEqual([]);
  const changed = "a line of a test was changed in src/a.test.ts: assert.equal(f(1), 2);";
  expect(checks(before.replace("2", "9"))).toEqual([changed]);
});

it("without a parser no worker's change is kept, and suppressions of other languages are found all the same", () => {
  const changes = [change];
  expect(judged({ candidate: worker, changes, astGrep: null })).toEqual([expect.stringContaining("@ast-grep/napi")]);
  expect(judged({ changes, astGrep: null })).toEqual([]);
  const style = { ...change, path: "src/a.css", before: "", after: "/* biome-ignore lint: x */" };
  expect(judged({ candidate: aCandidate({ files: ["src/a.css"] }), changes: [style] })).toHaveLength(1);
});

it("what --only leaves out is no candidate", () => {
  const findings = [1, 2, 3].map((line) => aFinding({ rule: `rule-${line}`, range: { line } }));
  const count = (only: string[]): number => findings.filter((one) => isOpen(one, only)).length;
  expect(count([])).toBe(3);
  expect(count(["rule-1"])).toBe(1);
  expect(count(["lint"])).toBe(3);
  expect(count(["types"])).toBe(0);
});

it("a run stops at its budget", () => {
  const limits = RunLimits.parse({ timeMs: 60_000, costMicros: 1_000 });
  const used = { wallMs: 0, tokens: 0, costMicros: 600 };
  const run = (...changes: { used: typeof used }[]) => ({ limits, changes, startedAt: 0 });
  expect(stopReason(run({ used }), 0)).toBeNull();
  expect(stopReason(run({ used }, { used }), 0)).toMatch(/dollars/);
});

it("changed files are those of two commits, with both texts", async () => {
  const files = { "app/a.ts": "a\n", "app/b.test.ts": "b\n", "app/l.ts": "l\n", "ä b.ts": "c\n" };
  const { project: folder } = makeProject(files);
  const base = git(folder, "rev-parse", "HEAD").trim();
  write(folder, { "app/a.ts": "new\n", "app/d.ts": "d\n", "ä b.ts": "c2\n", "app/e.png": "\0" });
  for (const name of ["b.test.ts", "l.ts"]) rmSync(join(folder, "app", name));
  symlinkSync("a.ts", join(folder, "app/l.ts"));
  const commit = commitAll(folder, "changed");
  const own = userGit(process.env, folder, new AbortController().signal);
  const found = (await changedFiles(own, base, commit, "app")).toSorted((a, b) => (a.path < b.path ? -1 : 1));
  expect(found).toEqual([
    { path: "../ä b.ts", kind: "changed", before: "c\n", after: "c2\n" },
    { path: "a.ts", kind: "changed", before: "a\n", after: "new\n" },
    { path: "b.test.ts", kind: "deleted", before: "b\n", after: null },
    { path: "d.ts", kind: "added", before: null, after: "d\n" },
    { path: "e.png", kind: "added", before: null, after: null },
    { path: "l.ts", kind: "retyped", before: "l\n", after: null },
  ]);
});
