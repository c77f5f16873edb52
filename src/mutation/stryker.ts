import * as z from "zod";
import { err, ok, type Result } from "../shared/result.ts";
import { type Mutant, withIds } from "./mutant.ts";
import type { MutantResult, MutantStatus } from "./run-mutants.ts";
import { parseJson } from "../shared/json-fields.ts";

const Position = z.object({ line: z.int().min(1), column: z.int().min(1) });
const StrykerMutant = z.object({
  mutatorName: z.string(),
  replacement: z.string().optional(),
  status: z.string(),
  location: z.object({ start: Position, end: Position }),
});

/** mutation-testing-report-schema, of which this reads what all versions have. */
const StrykerReport = z.object({
  files: z.record(z.string(), z.object({ source: z.string(), mutants: z.array(StrykerMutant) })),
});

const statuses: Readonly<Record<string, MutantStatus>> = {
  Killed: "killed",
  Timeout: "timeout",
  Survived: "survived",
  NoCoverage: "survived",
  CompileError: "invalid",
  RuntimeError: "invalid",
};

/** Pure. [MU6] Mutants as Stryker judged them; those it ignored are left out. */
export function parseStrykerReport(text: string): Result<MutantResult[], string> {
  const json = parseJson(text);
  if (json === undefined) return err("Stryker's report is no JSON");
  const report = StrykerReport.safeParse(json);
  if (!report.success) return err("Stryker's report has another form than mutation-testing-report-schema");
  return ok(Object.entries(report.data.files).flatMap(([file, facts]) => resultsOf(file, facts)));
}

function resultsOf(file: string, { source, mutants }: z.infer<typeof StrykerReport>["files"][string]): MutantResult[] {
  const starts = [0, ...[...source.matchAll(/\n/g)].map(({ index }) => index + 1)];
  const offset = ({ line, column }: z.infer<typeof Position>): number => (starts[line - 1] ?? 0) + column - 1;
  const used = mutants.flatMap(({ mutatorName, replacement, status, location: { start, end } }) => {
    const known = statuses[status];
    if (known === undefined || replacement === undefined) return [];
    const [from, to] = [offset(start), offset(end)];
    const range = { line: start.line, column: start.column, endLine: end.line, endColumn: end.column };
    const before = source.slice(from, to);
    return [
      {
        status: known,
        mutant: { file, operator: mutatorName, range, start: from, end: to, before, after: replacement },
      },
    ];
  });
  const ids: Mutant[] = withIds(used.map(({ mutant }) => mutant));
  return ids.map((mutant, index) => ({ mutant, status: used[index]?.status ?? "not_run" }));
}
