import { expect, it } from "vitest";
import { aCandidate, aFinding, aMeasurement } from "#harness/evolution/measured.ts";
import { judge, newFindings, parsePatch, type JudgeInput } from "#src/evolution/judge.ts";
import { parseLcov, parseTap, parseTestReport } from "#src/evolution/measured.ts";

const change = { path: "src/a.ts", kind: "changed", addedLines: ["let a = 1;"] } as const;

function judged(changes: Partial<JudgeInput> = {}): string[] {
  const before = aMeasurement({ findings: [aFinding(), aFinding({ rule: "other" })] });
  const after = aMeasurement({ findings: [aFinding({ rule: "other" })] });
  return judge({ before, after, candidate: aCandidate(), rules: { allowsApi: false }, changes: [change], ...changes });
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

it("[EV4] the coverage drops when the tests miss more lines, not when covered lines are deleted", () => {
  const withCoverage = (lines: number, covered: number) =>
    judged({ after: aMeasurement({ findings: fine, coverage: { lines, covered } }) });
  expect(withCoverage(90, 70)).toEqual([]);
  expect(withCoverage(101, 80)).toEqual(["the tests miss 21 lines, 20 before"]);
  expect(judged({ after: aMeasurement({ findings: fine, coverage: null }) })).toHaveLength(1);
  expect(judged({ before: aMeasurement({ findings: [aFinding()], coverage: null }), after: aMeasurement() })).toEqual(
    [],
  );
});

it("[EV6] a change of the public API is kept only where that is allowed", () => {
  const after = aMeasurement({ findings: fine, api: [] });
  expect(judged({ after })).toEqual(["the public API changes: - export declare const a: number;"]);
  expect(judged({ after, rules: { allowsApi: true } })).toEqual([]);
});

it("[EV7] other files, deleted tests, skipped tests and suppressed findings reject a change", () => {
  const worker = aCandidate({ method: "worker", fixer: null });
  const with_ = (path: string, kind: "added" | "deleted" | "changed", line = "") =>
    judged({ candidate: worker, changes: [change, { path, kind, addedLines: [line] }] });
  expect(with_("src/a.test.ts", "changed", "assert.equal(a, 1);")).toEqual([]);
  expect(with_("src/b.ts", "changed")).toEqual(["files of no concern were changed: src/b.ts"]);
  expect(with_("../other/a.ts", "added")).toHaveLength(1);
  expect(with_("src/a.test.ts", "deleted")).toEqual(["tests were deleted: src/a.test.ts"]);
  for (const line of [
    "test.skip('a', f)",
    "describe.only('b', f)",
    "xit('c', f)",
    "test('d', { todo: true }, f)",
    "it.skip.each(x)('e', f)",
  ])
    expect(with_("src/a.test.ts", "changed", line), line).toHaveLength(1);
  for (const line of [
    "// eslint-disable-next-line",
    "/* oxlint-disable */",
    "// @ts-ignore",
    "/* c8 ignore next */",
    "// biome-ignore lint: x",
  ])
    expect(judged({ changes: [{ ...change, addedLines: [line] }] }), line).toHaveLength(1);
  // A mechanical change has no business in the tests.
  expect(judged({ changes: [change, { path: "src/a.test.ts", kind: "changed", addedLines: [] }] })).toHaveLength(1);
});

it("[EV7] a patch names each file, what became of it, and the lines it adds", () => {
  const patch = `summary
diff --git a/src/a.ts b/src/a.ts
index 1..2 100644
--- a/src/a.ts
+++ b/src/a.ts
@@ -1,2 +1,2 @@
-var a = 1;
+let a = 1;
+++counter;
diff --git a/b.test.ts b/b.test.ts
deleted file mode 100644
--- a/b.test.ts
+++ /dev/null
@@ -1 +0,0 @@
-gone
diff --git a/c.ts b/c.ts
new file mode 100644
--- /dev/null
+++ b/c.ts
@@ -0,0 +1 @@
+here
diff --git a/d.png b/d.png
new file mode 100644
Binary files /dev/null and b/d.png differ
`;
  expect(parsePatch(patch)).toEqual([
    { path: "src/a.ts", kind: "changed", addedLines: ["let a = 1;", "++counter;"] },
    { path: "b.test.ts", kind: "deleted", addedLines: [] },
    { path: "c.ts", kind: "added", addedLines: ["here"] },
    { path: "d.png", kind: "added", addedLines: [] },
  ]);
});

it("[EV3] counts and coverage are read from the reports of the frameworks", () => {
  expect(parseTap("# tests 5\n# pass 3\n# fail 1\n# skipped 1\n# todo 0\n")).toEqual({ ran: 4, skipped: 1 });
  expect(parseTap("no report")).toBeNull();
  const vitest = { numPassedTests: 3, numFailedTests: 0, numPendingTests: 2, numTodoTests: 1 };
  expect(parseTestReport(JSON.stringify(vitest))).toEqual({ ran: 3, skipped: 3 });
  expect(parseTestReport('{"stats":{"passes":2,"failures":1,"pending":4}}')).toEqual({ ran: 3, skipped: 4 });
  expect(parseTestReport("")).toBeNull();
  expect(parseLcov("SF:a\nLF:10\nLH:4\nend_of_record\nSF:b\nLF:2\nLH:2\n")).toEqual({ lines: 12, covered: 6 });
  expect(parseLcov("")).toBeNull();
});
