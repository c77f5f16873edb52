import { parse } from "jsonc-parser";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Adapter, Parsed, ParseContext, ProjectView, ToolOutput } from "../adapter.ts";
import type { Level, RawFinding, Range } from "../finding.ts";
import { detectTool, firstFile } from "./detection.ts";
import { rangeAt } from "./ranges.ts";
import { parseReport } from "./report-json.ts";

const jsonConfigs = [".oxlintrc.json", ".oxlintrc.jsonc"];
const codeConfigs = ["ts", "mts", "cts", "js", "mjs", "cjs"].map((ending) => `oxlint.config.${ending}`);

export const oxlintConfigs = [...jsonConfigs, ...codeConfigs];

function oxlintConfig(project: ProjectView): string | null {
  return firstFile(project, oxlintConfigs);
}

/** Outside a repository oxlint also reads what is installed. */
export const notPackages = "--ignore-pattern=**/node_modules/**";

export function oxlintSettings(project: ProjectView): JsonObject | null {
  const config = firstFile(project, jsonConfigs);
  return config === null ? null : asObject(parse(project.read(config) ?? ""));
}

export const oxlint: Adapter = {
  name: "oxlint",
  kinds: ["lint"],
  detect: (project) => {
    const config = oxlintConfig(project);
    const setUp = config === null ? null : `there is ${config}`;
    return detectTool(project, { packageName: "oxlint", program: "oxlint", setUp, risk: riskOf(project, config) });
  },
  command: ({ project, isTrusted, writeScratch }) => {
    const args = ["-f", "json", notPackages];
    if (isTrusted) return { args };
    // Configurations in other folders could name plugins, which are code.
    const config = oxlintConfig(project) ?? writeScratch("oxlint.json", "{}");
    return { args: [...args, "-c", config, "--disable-nested-config"] };
  },
  parse: parseOxlint,
};

function riskOf(project: ProjectView, config: string | null): string | null {
  if (config === null) return null;
  if (codeConfigs.includes(config)) return `${config} is code of the project`;
  const settings = oxlintSettings(project);
  const isPlain = settings !== null && settings["jsPlugins"] === undefined && settings["extends"] === undefined;
  const overrides = listAt(settings, "overrides").map(asObject);
  if (isPlain && overrides.every((one) => one?.["jsPlugins"] === undefined)) return null;
  return `${config} names plugins or other configurations, which may be code of the project`;
}

const levels: Readonly<Record<string, Level>> = { error: "error", warning: "warning" };

export function parseOxlint(output: ToolOutput, context: ParseContext): Result<Parsed, string> {
  const report = parseReport(output, [0, 1]);
  if (!report.ok) return report;
  const sources = new Map<string, Buffer>();
  const sourceOf = (file: string): Buffer => {
    const source = sources.get(file) ?? Buffer.from(context.project.read(file) ?? "");
    sources.set(file, source);
    return source;
  };
  const diagnostics = listAt(report.value, "diagnostics").map(asObject);
  return ok({ findings: diagnostics.map((one) => toFinding(one, context, sourceOf)) });
}

function toFinding(
  diagnostic: JsonObject | null,
  { toFile }: ParseContext,
  sourceOf: (file: string) => Buffer,
): RawFinding {
  const file = toFile(textAt(diagnostic, "filename") ?? "");
  const span = objectAt(asObject(listAt(diagnostic, "labels")[0]), "span");
  return {
    rule: textAt(diagnostic, "code") ?? "parse-error",
    level: levels[textAt(diagnostic, "severity") ?? ""] ?? "note",
    file,
    range: span === null ? null : toRange(span, sourceOf(file)),
    message: textAt(diagnostic, "message") ?? "",
  };
}

/** Spans are an offset and a length in bytes of UTF-8. */
function toRange(span: JsonObject, source: Buffer): Range | null {
  const start = rangeAt(span, { line: "line", column: "column" });
  const offset = numberAt(span, "offset") ?? 0;
  const text = source.subarray(offset, offset + (numberAt(span, "length") ?? 0)).toString("utf8");
  return start?.column === undefined || text === "" ? start : { ...start, ...endOf(text, start.line, start.column) };
}

function endOf(text: string, line: number, column: number): Pick<Range, "endLine" | "endColumn"> {
  const lines = text.split("\n");
  const lastLength = lines.at(-1)?.length ?? 0;
  return { endLine: line + lines.length - 1, endColumn: lines.length === 1 ? column + lastLength : lastLength + 1 };
}
