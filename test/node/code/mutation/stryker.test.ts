import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parseReport, type FileMutants } from "#src/code/analysis/mutants.ts";

// Of Stryker 10.1.1.
const recorded = readFileSync(join(import.meta.dirname, "../../../harness/mutation/recorded/stryker.json"), "utf8");

function read(text: string, file: string): FileMutants {
  const found = parseReport(text, [file]);
  if (!found.ok || !found.value[0]) throw new Error("it is a report");
  return found.value[0];
}

it("a recorded report of Stryker gives counts and survivors with their positions", () => {
  const { counts, survivors } = read(recorded, "src/price.ts");
  expect(counts.survived).toBe(survivors.length);
  expect(counts.killed).toBeGreaterThan(0);
  expect(counts.timeout).toBeGreaterThan(0);
  const rows = survivors.map(({ before, after }) => `${before} -> ${after}`);
  expect(rows).toContain("price < 0 -> price <= 0");
  expect(rows).toContain('"a price is not negative" -> ""');
  expect(rows).not.toContain("price < 0 -> price >= 0");
  expect(survivors[0]).toMatchObject({ line: 3, column: 7, operator: "ConditionalExpression", before: "price < 0" });
  expect(parseReport(recorded, ["src/other.ts"])).toEqual({ ok: true, value: [] });
});

it("uncovered mutants survived, a timeout is noticed, broken ones are invalid, ignored ones are left out", () => {
  const location = { start: { line: 2, column: 1 }, end: { line: 2, column: 2 } };
  const states = ["Ignored", "NoCoverage", "CompileError", "RuntimeError", "Pending", "Timeout", "Killed"];
  const mutants = states.map((status) => ({ mutatorName: "M", replacement: "b", status, location }));
  const { counts, survivors } = read(JSON.stringify({ files: { "a.ts": { source: "x\na", mutants } } }), "a.ts");
  expect(counts).toEqual({ killed: 1, timeout: 1, survived: 1, invalid: 2 });
  expect(survivors).toEqual([{ line: 2, column: 1, operator: "M", before: "a", after: "b" }]);
});

it("what is no report is refused", () => {
  expect(parseReport("<html>", [])).toEqual({ ok: false, error: "Stryker's report is no JSON" });
  expect(parseReport("{}", []).ok).toBe(false);
});
