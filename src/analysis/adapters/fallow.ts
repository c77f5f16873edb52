import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Adapter, FileComplexity, Parsed, ParseContext, ToolOutput } from "../adapter.ts";
import type { Level, Position, RawFinding } from "../finding.ts";
import { clonesFinding } from "./clones.ts";
import { detectTool, firstFile } from "./detection.ts";
import { rangeAt } from "./ranges.ts";
import { outputProblem, parseReport } from "./report-json.ts";

type ToFile = (path: string) => string;

/** Its configuration and its plugins are data. */
export const fallow: Adapter = {
  name: "fallow",
  kinds: ["dead code", "duplicates", "complexity"],
  detect: (project) => {
    const config = firstFile(project, [".fallowrc.json", ".fallowrc.jsonc", "fallow.toml", ".fallow.toml"]);
    const setUp = config === null ? null : `there is ${config}`;
    return detectTool(project, { packageName: "fallow", program: "fallow", setUp, risk: null });
  },
  command: () => ({ args: ["--format", "json", "--quiet", "--no-cache", "--no-type-aware"] }),
  parse: parseFallow,
};

function parseFallow(output: ToolOutput, { toFile }: ParseContext): Result<Parsed, string> {
  const report = parseReport(output, [0, 1]);
  if (!report.ok) return report;
  if (report.value["error"] === true) return err(textAt(report.value, "message") ?? outputProblem(output));
  const health = objectAt(report.value, "health");
  const clones = listAt(objectAt(report.value, "dupes"), "clone_groups").map(asObject);
  const findings = [
    ...Object.entries(objectAt(report.value, "check") ?? {}).flatMap(([key, found]) =>
      checkFindings(key, found, toFile),
    ),
    ...clones.flatMap((group) => cloneFinding(group, toFile)),
    ...listAt(health, "findings").map((one) => healthFinding(asObject(one), toFile)),
  ];
  return ok({ findings, complexity: fileScores(health, toFile) });
}

const levels: Readonly<Record<string, Level>> = { error: "error", warn: "warning", warning: "warning" };

function levelOf(found: JsonObject | null): Level {
  return levels[textAt(found, "effective_severity") ?? "warning"] ?? "note";
}

const symbolFields = ["export_name", "package_name", "specifier", "member_name", "dependency_name", "name"];

/** Lists of findings are those whose items have a file; the key is the rule in the plural. */
function checkFindings(key: string, found: unknown, toFile: ToFile): RawFinding[] {
  const items = Array.isArray(found) && !key.endsWith("diagnostics") ? found.map(asObject) : [];
  const rule = key.replaceAll("_", "-").replace(/ies$/, "y").replace(/s$/, "");
  const findings = items.filter((one) => listAt(one, "actions").length > 0 || textAt(one, "path") !== null);
  return findings.map((one) => checkFinding(rule, one, toFile));
}

function checkFinding(rule: string, found: JsonObject | null, toFile: ToFile): RawFinding {
  const files = listAt(found, "files").filter((file) => typeof file === "string");
  const first = textAt(found, "path") === null ? firstPosition(found) : found;
  const file = textAt(first, "path") ?? files[0] ?? "package.json";
  const symbol = symbolFields.map((field) => textAt(found, field)).find((name) => name !== null);
  const column = numberAt(found, "specifier_col") === null ? "col" : "specifier_col";
  const range = rangeAt(first, { line: "line", column, columnOffset: 1 });
  const message = messageOf(rule, symbol ?? files.join(" -> "));
  const finding = { rule, level: levelOf(found), file: toFile(file), range, message };
  return symbol === undefined ? finding : { ...finding, symbol };
}

/** Exports of one name, and imports of one package, are findings with several positions. */
function firstPosition(found: JsonObject | null): JsonObject | null {
  return asObject([...listAt(found, "locations"), ...listAt(found, "imported_from")][0]) ?? found;
}

function messageOf(rule: string, subject: string): string {
  return `${rule.replaceAll("-", " ")}${subject === "" ? "" : `: ${subject}`}`;
}

function cloneFinding(group: JsonObject | null, toFile: ToFile): RawFinding[] {
  const copies = listAt(group, "instances").map((one): Position => toPosition(asObject(one), toFile));
  return clonesFinding("code-duplication", copies);
}

function toPosition(instance: JsonObject | null, toFile: ToFile): Position {
  const range = rangeAt(instance, { line: "start_line", endLine: "end_line" });
  return { file: toFile(textAt(instance, "file") ?? ""), range };
}

function healthFinding(found: JsonObject | null, toFile: ToFile): RawFinding {
  const symbol = textAt(found, "name") ?? "";
  const figures = ["cyclomatic", "cognitive", "crap", "line_count"].flatMap((name) => {
    const value = numberAt(found, name);
    return value === null ? [] : [`${name.replace("_", " ")} ${value}`];
  });
  const exceeded = textAt(found, "exceeded") ?? "complexity";
  return {
    rule: "complexity",
    level: levelOf(found),
    file: toFile(textAt(found, "path") ?? ""),
    range: rangeAt(found, { line: "line", column: "col", columnOffset: 1 }),
    message: `${symbol === "" ? "a function" : symbol} exceeds ${exceeded}: ${figures.join(", ")}`,
    ...(symbol === "" ? {} : { symbol }),
  };
}

function fileScores(health: JsonObject | null, toFile: ToFile): FileComplexity[] {
  return listAt(health, "file_scores").map((one) => {
    const score = asObject(one);
    return { file: toFile(textAt(score, "path") ?? ""), complexity: numberAt(score, "total_cyclomatic") ?? 0 };
  });
}
