import { asObject, isRecord, listAt, numberAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Adapter, Parsed, ParseContext, ProjectView, ToolOutput } from "../adapter.ts";
import type { RawFinding } from "../finding.ts";
import { detectTool, firstFile } from "./detection.ts";
import { parseReport } from "./report-json.ts";

const configs = ["knip.json", "knip.jsonc", ".knip.json", ".knip.jsonc", "knip.ts", "knip.js", "knip.config.ts"];

/** Dead code by knip, which loads configurations of many other tools to find what they use. */
export const knip: Adapter = {
  name: "knip",
  kinds: ["dead code"],
  detect: (project) => {
    const config = firstFile(project, [...configs, "knip.config.js"]);
    const setUp = config === null ? null : `there is ${config}`;
    const risk = "it loads the configurations of the project's tools, which may be code";
    return detectTool(project, { packageName: "knip", program: "knip", setUp, risk });
  },
  command: () => ({ args: ["--reporter", "json", "--no-progress"] }),
  parse: parseKnip,
};

const words: Readonly<Record<string, string>> = {
  dependencies: "unused dependency",
  devDependencies: "unused development dependency",
  optionalPeerDependencies: "optional peer dependency in use",
  unlisted: "dependency in use that package.json does not list",
  binaries: "program in use of a package that package.json does not list",
  unresolved: "import that cannot be resolved",
  exports: "unused export",
  types: "unused exported type",
  nsExports: "unused export of a namespace",
  nsTypes: "unused type of a namespace",
  enumMembers: "unused member of an enum",
  classMembers: "unused member of a class",
  namespaceMembers: "unused member of a namespace",
  duplicates: "exported more than once",
};

function parseKnip(output: ToolOutput, { toFile, project }: ParseContext): Result<Parsed, string> {
  const report = parseReport(output, [0, 1]);
  if (!report.ok) return report;
  const issues = listAt(report.value, "issues").map(asObject);
  const findings = issues.flatMap((issue) => {
    const file = toFile(textAt(issue, "file") ?? "");
    const rules = Object.entries(issue ?? {}).filter(([rule]) => rule !== "file" && rule !== "owners");
    return rules.flatMap(([rule, found]) => itemsOf(found).map((item) => toFinding(project, file, rule, item)));
  });
  // Versions before 6 list files beside the issues.
  const files = listAt(report.value, "files").filter((file) => typeof file === "string");
  return ok({ findings: [...files.map((file) => fileFinding(toFile(file))), ...findings] });
}

/** Members come as lists, or as lists by the name of their enum or class. */
function itemsOf(found: unknown): (JsonObject | readonly unknown[])[] {
  if (Array.isArray(found)) return found.filter((item) => isRecord(item) || Array.isArray(item));
  return isRecord(found) ? Object.values(found).flatMap(itemsOf) : [];
}

function fileFinding(file: string): RawFinding {
  return { rule: "files", level: "warning", file, range: null, message: "unused file" };
}

function toFinding(
  project: ProjectView,
  file: string,
  rule: string,
  item: JsonObject | readonly unknown[],
): RawFinding {
  if (rule === "files") return fileFinding(file);
  const group = Array.isArray(item) ? item.map(asObject) : [item as JsonObject];
  const [first = null] = group;
  const symbol = group.map((one) => textAt(one, "name") ?? "").join(", ");
  const line = numberAt(first, "line") || lineOf(project, file, symbol);
  const column = numberAt(first, "col") || undefined;
  const message = `${words[rule] ?? rule}: ${symbol}`;
  return { rule, level: "warning", file, range: line ? { line, ...omitUndefined({ column }) } : null, message, symbol };
}

/** Dependencies have no position in some versions. */
function lineOf(project: ProjectView, file: string, name: string): number | null {
  if (!file.endsWith("package.json")) return null;
  const lines = (project.read(file) ?? "").split("\n");
  return lines.findIndex((line) => line.includes(`${JSON.stringify(name)}:`)) + 1 || null;
}
