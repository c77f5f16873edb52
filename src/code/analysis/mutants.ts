import * as z from "zod";
import { parseJson } from "../../shared/json-fields.ts";
import { err, ok, type Result } from "../../shared/result.ts";

/** A change that no test noticed. Line and column count from 1. */
export interface Survivor {
  readonly line: number;
  readonly column: number;
  readonly operator: string;
  readonly before: string;
  readonly after: string;
}

const statuses = {
  Killed: "killed",
  Timeout: "timeout",
  Survived: "survived",
  NoCoverage: "survived",
  CompileError: "invalid",
  RuntimeError: "invalid",
} as const;

export interface FileMutants {
  /** Relative to the package, with `/`. */
  readonly file: string;
  /** Mutants that Stryker ignored are left out. */
  readonly counts: Readonly<Record<(typeof statuses)[keyof typeof statuses], number>>;
  /** In the order of their positions. */
  readonly survivors: readonly Survivor[];
}

const Position = z.object({ line: z.int().min(1), column: z.int().min(1) });
const Mutant = z.object({
  mutatorName: z.string(),
  replacement: z.string().default(""),
  status: z.string(),
  location: z.object({ start: Position, end: Position }),
});
/** mutation-testing-report-schema, of which this reads what all versions have. */
const Report = z.object({ files: z.record(z.string(), z.object({ source: z.string(), mutants: z.array(Mutant) })) });

/** Pure. @param only files; empty: all of the report */
export function parseReport(text: string, only: readonly string[]): Result<FileMutants[], string> {
  const json = parseJson(text);
  if (json === undefined) return err("Stryker's report is no JSON");
  const report = Report.safeParse(json);
  if (!report.success) return err("Stryker's report has another form than mutation-testing-report-schema");
  const found = Object.entries(report.data.files).filter(([file]) => only.length === 0 || only.includes(file));
  return ok(
    found.map(([file, { source, mutants }]) => {
      const counts = { killed: 0, timeout: 0, survived: 0, invalid: 0 };
      const survivors: Survivor[] = [];
      const lines = source.split(/(?<=\n)/);
      const offset = ({ line, column }: z.infer<typeof Position>): number =>
        lines.slice(0, line - 1).join("").length + column - 1;
      for (const { mutatorName: operator, replacement: after, status, location } of mutants) {
        const known = statuses[status as keyof typeof statuses] as keyof typeof counts | undefined;
        if (known === undefined) continue;
        counts[known]++;
        const before = source.slice(offset(location.start), offset(location.end));
        if (known === "survived") survivors.push({ ...location.start, operator, before, after });
      }
      return { file, counts, survivors: survivors.toSorted((a, b) => a.line - b.line || a.column - b.column) };
    }),
  );
}
