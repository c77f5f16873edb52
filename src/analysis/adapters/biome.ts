import { asObject, listAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { ok, type Result } from "../../shared/result.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { Adapter, Parsed, ParseContext, ToolOutput } from "../adapter.ts";
import type { Level, RawFinding } from "../finding.ts";
import { detectTool, firstFile } from "./detection.ts";
import { rangeAt } from "./ranges.ts";
import { parseReport } from "./report-json.ts";

/** Its configuration is data, and its plugins are patterns. */
export const biome: Adapter = {
  name: "biome",
  kinds: ["lint"],
  detect: (project) => {
    const config = firstFile(project, ["biome.json", "biome.jsonc", ".biome.json", ".biome.jsonc"]);
    if (config === null) return { kind: "unused", why: "there is no configuration of Biome" };
    const setUp = `there is ${config}`;
    return detectTool(project, { packageName: "@biomejs/biome", program: "biome", setUp, risk: null });
  },
  command: () => ({ args: ["lint", "--reporter=json", "--max-diagnostics=none", "."] }),
  parse: parseBiome,
};

const levels: Readonly<Record<string, Level>> = { fatal: "error", error: "error", warning: "warning" };

function parseBiome(output: ToolOutput, { toFile }: ParseContext): Result<Parsed, string> {
  const report = parseReport(output, [0, 1]);
  if (!report.ok) return report;
  const diagnostics = listAt(report.value, "diagnostics").map(asObject);
  return ok({ findings: diagnostics.map((one) => toFinding(one, toFile)) });
}

function toFinding(diagnostic: JsonObject | null, toFile: (path: string) => string): RawFinding {
  const location = objectAt(diagnostic, "location");
  const start = rangeAt(objectAt(location, "start"), { line: "line", column: "column" });
  const end = rangeAt(objectAt(location, "end"), { line: "line", column: "column" });
  return {
    rule: textAt(diagnostic, "category") ?? "biome",
    level: levels[textAt(diagnostic, "severity") ?? ""] ?? "note",
    file: toFile(textAt(location, "path") ?? ""),
    range: start && { ...start, ...omitUndefined({ endLine: end?.line, endColumn: end?.column }) },
    message: textAt(diagnostic, "message") ?? "",
  };
}
