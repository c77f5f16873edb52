import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parseStrykerReport } from "#src/mutation/stryker.ts";
import { survivorsOf } from "#src/mutation/run-mutants.ts";

// Of Stryker 10.1.1, on the project of the end-to-end test.
const recorded = readFileSync(join(import.meta.dirname, "../../harness/mutation/recorded/stryker.json"), "utf8");

it("[MU6] a recorded report of Stryker gives mutants with their positions and states", () => {
  const results = parseStrykerReport(recorded);
  if (!results.ok) throw new Error(results.error);
  const rows = results.value.map(({ mutant, status }) => `${status} ${mutant.before} -> ${mutant.after}`);
  expect(rows).toContain("survived price < 0 -> price <= 0");
  expect(rows).toContain("killed price < 0 -> price >= 0");
  expect(rows).toContain("timeout rest !== 7 -> rest === 7");
  expect(rows).toContain('survived "a price is not negative" -> ""');
  const [mutant] = survivorsOf(results.value);
  expect(mutant).toMatchObject({ file: "src/price.ts", operator: "ConditionalExpression" });
  expect(mutant?.range).toEqual({ line: 3, column: 7, endLine: 3, endColumn: 16 });
  expect(new Set(results.value.map((one) => one.mutant.id)).size).toBe(results.value.length);
});

it("[MU6] ignored mutants are left out, uncovered ones survived, broken ones are invalid", () => {
  const location = { start: { line: 2, column: 1 }, end: { line: 2, column: 2 } };
  const mutants = ["Ignored", "NoCoverage", "CompileError", "RuntimeError", "Pending"].map((status) => ({
    mutatorName: "M",
    replacement: "b",
    status,
    location,
  }));
  const report = parseStrykerReport(JSON.stringify({ files: { "a.ts": { source: "x\na", mutants } } }));
  expect(report).toMatchObject({
    ok: true,
    value: [
      { status: "survived", mutant: { before: "a", after: "b", start: 2, end: 3 } },
      { status: "invalid" },
      { status: "invalid" },
    ],
  });
});

it("[MU6] what is no report is refused", () => {
  expect(parseStrykerReport("<html>")).toEqual({ ok: false, error: "Stryker's report is no JSON" });
  expect(parseStrykerReport("{}").ok).toBe(false);
});
