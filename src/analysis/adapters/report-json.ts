import { err, ok, type Result } from "../../shared/result.ts";
import { parseObject, type JsonObject } from "../../shared/json-fields.ts";
import type { ToolOutput } from "../adapter.ts";

const maxWords = 300;

/** Why a tool's output is no report, in its own words. */
export function outputProblem({ code, stdout, stderr }: ToolOutput): string {
  const text = (stderr.trim() || stdout.trim()).replaceAll(/\s+/g, " ").slice(0, maxWords);
  return text === "" ? `exit code ${code} without a report` : `exit code ${code}: ${text}`;
}

/** Some tools print notices before the report. */
export function parseReport(output: ToolOutput, codes: readonly number[]): Result<JsonObject, string> {
  const { code, stdout } = output;
  const report = codes.includes(code) ? parseObject(stdout.slice(Math.max(0, stdout.indexOf("{")))) : null;
  return report === null ? err(outputProblem(output)) : ok(report);
}
