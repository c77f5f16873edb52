import { asObject, listAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Adapter, Parsed, ParseContext, ToolOutput } from "../adapter.ts";
import type { Position } from "../finding.ts";
import { clonesFinding } from "./clones.ts";
import { detectTool, firstFile } from "./detection.ts";
import { rangeAt } from "./ranges.ts";
import { parseReport } from "./report-json.ts";

export const jscpd: Adapter = {
  name: "jscpd",
  kinds: ["duplicates"],
  detect: (project) => {
    const config = firstFile(project, [".jscpd.json"]);
    const setUp = config === null ? null : `there is ${config}`;
    const risk = "its configuration may name modules to load";
    return detectTool(project, { packageName: "jscpd", program: "jscpd", setUp, risk });
  },
  command: ({ scratch }) => ({
    args: ["--reporters", "json", "--output", scratch, "--silent", "."],
    reportFile: "jscpd-report.json",
  }),
  parse: parseJscpd,
};

/** 1: a threshold of the project's configuration is exceeded. */
function parseJscpd(output: ToolOutput, { toFile }: ParseContext): Result<Parsed, string> {
  const report = parseReport(output, [0, 1]);
  if (!report.ok) return report;
  const pairs = listAt(report.value, "duplicates").map(asObject);
  const findings = pairs.flatMap((pair) =>
    clonesFinding("duplicate", [
      toPosition(objectAt(pair, "firstFile"), toFile),
      toPosition(objectAt(pair, "secondFile"), toFile),
    ]),
  );
  return ok({ findings: findings.filter(({ file }) => !/^(?:\.git|node_modules)\//.test(file)) });
}

function toPosition(copy: JsonObject | null, toFile: (path: string) => string): Position {
  return { file: toFile(textAt(copy, "name") ?? ""), range: rangeAt(copy, { line: "start", endLine: "end" }) };
}
