import { oneLine } from "../../../shared/format.ts";
import { numberAt, parseObject, type JsonObject } from "../../../shared/json-fields.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { ToolOutput } from "../adapter.ts";
import type { Range } from "../finding.ts";

/** Names of the fields of a range; `columnOffset` is added to columns that count from 0. */
interface RangeFields {
  readonly line: string;
  readonly column?: string;
  readonly endLine?: string;
  readonly endColumn?: string;
  readonly columnOffset?: number;
}

/** @returns null where the report has no line, or line 0 for the file as a whole */
export function rangeAt(from: JsonObject | null, fields: RangeFields): Range | null {
  const line = numberAt(from, fields.line);
  if (!line) return null;
  const column = columnAt(from, fields.column, fields.columnOffset);
  const endLine = fields.endLine === undefined ? undefined : numberAt(from, fields.endLine) || undefined;
  const endColumn = columnAt(from, fields.endColumn, fields.columnOffset);
  // A finding becomes the payload of a task, and an undefined field is no JSON.
  return { line, ...omitUndefined({ column, endLine, endColumn }) };
}

function columnAt(from: JsonObject | null, field: string | undefined, offset = 0): number | undefined {
  const column = field === undefined ? null : numberAt(from, field);
  return column === null ? undefined : column + offset || undefined;
}

const maxWords = 300;

/** Why a tool's output is no report, in its own words. */
export function outputProblem({ code, stdout, stderr }: ToolOutput): string {
  const text = oneLine(stderr.trim() || stdout.trim(), maxWords);
  return text === "" ? `exit code ${code} without a report` : `exit code ${code}: ${text}`;
}

/** Parses an object of JSON. 1: there are findings. Some tools print notices before the report. */
export function parseReport(output: ToolOutput): Result<JsonObject, string> {
  const { code, stdout } = output;
  const report = code <= 1 ? parseObject(stdout.slice(Math.max(0, stdout.indexOf("{")))) : null;
  return report === null ? err(outputProblem(output)) : ok(report);
}
